import type { Deps } from '../deps.ts';
import type { Tx } from '../kernel/db.ts';
import { badInput, conflict, notFound } from '../kernel/errors.ts';
import { type MemberId, newIds, parseId, type RecipientId } from '../kernel/ids.ts';
import { parse } from '../kernel/input.ts';
import { emailAddress } from '../members/index.ts';
import type { CampaignRef, RecipientInput } from './types.ts';

export const MAX_RECIPIENTS = 1_000_000;
const MAX_LIST = 5_000;

/** Somebody to be given a code: exactly one of the two. */
export type Named = { email: string | null; memberId: MemberId | null };

/** `field` is where the list was given. Addresses come out normalised. */
export function readRecipients(list: readonly RecipientInput[], field: string): Named[] {
  if (list.length > MAX_LIST) throw badInput(field, `at most ${MAX_LIST} recipients`);
  return list.map(({ email, memberId }, i) => {
    const path = `${field}.${i}`;
    if ((email == null) === (memberId == null))
      throw badInput(path, 'exactly one of email and memberId');
    if (email != null)
      return { email: parse(emailAddress, email, `${path}.email`), memberId: null };
    const id = parseId<MemberId>(memberId as string);
    if (!id) throw notFound(`${path}.memberId`, 'member');
    return { email: null, memberId: id };
  });
}

type Adding = CampaignRef & { deps: Deps; named: readonly Named[]; field: string };

/**
 * Adds those whom the campaign does not name yet. In the order of who they are, so that two lists
 * with the same people do not wait for each other crosswise; the campaign's own row comes last.
 */
export async function addNamed(tx: Tx, of: Adding): Promise<void> {
  const { deps, programId, campaignId, named } = of;
  await requireMembers(tx, of);
  const ids = newIds<RecipientId>(deps, named.length);
  const added = await tx.$executeRaw`
    INSERT INTO campaign_recipients (program_id, id, campaign_id, email, member_id)
    SELECT ${programId}::uuid, r.id, ${campaignId}::uuid, r.email, r.member_id
    FROM unnest(${ids}::uuid[], ${named.map(({ email }) => email)}::text[],
      ${named.map(({ memberId }) => memberId)}::uuid[]) AS r(id, email, member_id)
    ORDER BY r.member_id, r.email, r.id ON CONFLICT DO NOTHING`;
  await countAdded(tx, { programId, campaignId, added });
}

async function requireMembers(tx: Tx, of: Adding): Promise<void> {
  const ids = of.named.flatMap(({ memberId }) => memberId ?? []);
  if (ids.length === 0) return;
  const rows = await tx.member.findMany({
    where: { programId: of.programId, id: { in: ids } },
    select: { id: true },
  });
  const known = new Set<string>(rows.map(({ id }) => id));
  const missing = of.named.findIndex(({ memberId }) => memberId !== null && !known.has(memberId));
  if (missing >= 0) throw notFound(`${of.field}.${missing}.memberId`, 'member');
}

/** A campaign that was issued has somebody again who waits for a code. */
export async function countAdded(tx: Tx, of: CampaignRef & { added: number }): Promise<void> {
  if (of.added === 0) return;
  const counted = await tx.$executeRaw`
    UPDATE campaigns SET recipients = recipients + ${of.added}::int,
      status = CASE status WHEN 'ISSUED' THEN 'DRAFT' ELSE status END
    WHERE program_id = ${of.programId}::uuid AND id = ${of.campaignId}::uuid
      AND recipients + ${of.added}::int <= ${MAX_RECIPIENTS}::int`;
  if (counted !== 1)
    throw conflict(`campaignId: a campaign has at most ${MAX_RECIPIENTS} recipients`);
}
