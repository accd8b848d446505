import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { badInput, unavailable } from '../kernel/errors.ts';
import { type MemberId, newId, type ProgramId } from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { lockIdentities, lockMember } from '../kernel/locks.ts';
import { appendEvent } from '../kernel/outbox.ts';
import { emailAddress } from './email.ts';
import type { Member, UpsertMemberInput } from './types.ts';

const ATTEMPTS = 5;

const memberInput = z.object({
  externalId: text(200),
  email: emailAddress.nullish(),
  emailVerified: z.boolean().nullish(),
  birthday: z.iso.date({ error: 'a date, YYYY-MM-DD' }).nullish(),
});

type Upsert = { programId: ProgramId; input: UpsertMemberInput };

/**
 * Makes the member with this external id, or changes what the input names. An address that becomes
 * verified binds the codes that were issued to it, or that guests claimed with it.
 *
 * Locks: IDENTITY of the external id, the member, and the old and the new address; MEMBER where it
 * changes one; then code rows.
 * Refusals: none; BAD_USER_INPUT names the field.
 * A retry returns the same member, unchanged.
 * Events: member.created, or member.updated where something is new; code.bound for each such code.
 */
export async function upsertMember(deps: Deps, { programId, input }: Upsert): Promise<Member> {
  const wanted = parse(memberInput, input, 'input');
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = await findByExternalId(deps.db, programId, wanted.externalId);
    const member = await inTransaction(deps, async (tx) => {
      await lockIdentities(tx, { programId, keys: await identityKeys(tx, before, wanted) });
      const current = await findByExternalId(tx, programId, wanted.externalId);
      // The address changed before the locks were had, so the wrong one is locked: start again.
      if (current?.id !== before?.id || current?.email !== before?.email) return undefined;
      return write(tx, { current, next: merge(current, wanted), programId, id: newId(deps) });
    });
    if (member) return member;
  }
  throw unavailable('input.externalId: this member is being changed by others: ask again');
}

type Wanted = z.infer<typeof memberInput>;
type Contact = Pick<Member, 'externalId' | 'email' | 'emailVerified' | 'birthday'>;

function findByExternalId(
  db: Pick<Tx, 'member'>,
  programId: string,
  externalId: string,
): Promise<Member | null> {
  return db.member.findUnique({ where: { programId_externalId: { programId, externalId } } });
}

/** Everything that a claim by the same person would lock: see claimants_of.sql. */
async function identityKeys(tx: Tx, before: Member | null, wanted: Wanted): Promise<string[]> {
  const emails = [before?.email, wanted.email].filter((email) => email != null);
  const mailboxes =
    emails.length === 0
      ? []
      : await tx.$queryRaw<{ mailbox: string }[]>`
    SELECT mailbox_of(email) AS mailbox FROM unnest(${emails}::text[]) email`;
  return [
    `external:${wanted.externalId}`,
    ...(before ? [`member:${before.id}`] : []),
    ...emails.map((email) => `email:${email}`),
    ...mailboxes.map((row) => `mailbox:${row.mailbox}`),
  ];
}

function merge(current: Member | null, wanted: Wanted): Contact {
  const email = wanted.email === undefined ? (current?.email ?? null) : wanted.email;
  const kept = email !== null && email === current?.email && current.emailVerified;
  const emailVerified = wanted.emailVerified ?? kept;
  if (emailVerified && email === null)
    throw badInput('input.emailVerified', 'an email beside it, or false');
  const birthday =
    wanted.birthday === undefined
      ? (current?.birthday ?? null)
      : wanted.birthday && new Date(`${wanted.birthday}T00:00:00Z`);
  return { externalId: wanted.externalId, email, emailVerified, birthday: birthday || null };
}

type Write = { programId: ProgramId; id: MemberId; current: Member | null; next: Contact };

async function write(tx: Tx, { programId, id, current, next }: Write): Promise<Member> {
  const member = current
    ? await update(tx, { programId, current, next })
    : await create(tx, { programId, id, next });
  const wasVerified = current?.emailVerified && current.email === next.email;
  if (next.emailVerified && next.email && !wasVerified)
    await tx.$queryRaw`
      SELECT bind_codes(${programId}::uuid, ${member.id}::uuid, ${next.email}) AS bound`;
  return member;
}

async function create(tx: Tx, of: { programId: ProgramId; id: MemberId; next: Contact }) {
  const { programId, id, next } = of;
  const [start] = await tx.$queryRaw<{ now: Date; tier: string; ladderVersion: number }[]>`
    SELECT program_now(p.id) AS now, t.id::text AS tier, p.ladder_version AS "ladderVersion"
    FROM programs p JOIN tiers t ON t.program_id = p.id AND t.rank = 1
    WHERE p.id = ${programId}::uuid`;
  if (!start) throw new Error('a program without a first tier');
  const { now: createdAt, tier: tierId, ladderVersion } = start;
  const member = await tx.member.create({
    data: { programId, id, tierId, ladderVersion, createdAt, ...next },
  });
  await appendEvent(tx, { programId, type: 'member.created', memberId: id, data: {} });
  return member;
}

/** Writes nothing, and tells nobody, where nothing is new. */
async function update(tx: Tx, of: { programId: ProgramId; current: Member; next: Contact }) {
  const { programId, current, next } = of;
  const changed = (Object.keys(next) as (keyof Contact)[]).filter(
    (name) => String(current[name]) !== String(next[name]),
  );
  if (changed.length === 0) return current;
  // The daily work reads a birthday within this lock, and its events follow the change's.
  await lockMember(tx, { programId, memberId: current.id });
  const where = { programId_id: { programId, id: current.id } };
  const member = await tx.member.update({ where, data: next });
  const data = { changed };
  await appendEvent(tx, { programId, type: 'member.updated', memberId: current.id, data });
  return member;
}
