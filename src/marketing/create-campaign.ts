import type { Deps } from '../deps.ts';
import { fingerprint } from '../kernel/crypto.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { notFound } from '../kernel/errors.ts';
import { once } from '../kernel/idempotency.ts';
import { type CampaignId, newId, type PoolId, type ProgramId, parseId } from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { addNamed, type Named, readRecipients } from './recipients.ts';
import type { Campaign, RecipientInput } from './types.ts';

type Create = {
  programId: ProgramId;
  input: {
    name: string;
    poolId: string;
    recipients: readonly RecipientInput[];
    idempotencyKey?: string | null | undefined;
  };
};

/**
 * Makes a campaign in DRAFT, with up to 5,000 recipients.
 *
 * Locks: none but rows.
 * Refusals: none; BAD_USER_INPUT and NOT_FOUND name the field; CONFLICT for a key used otherwise.
 * A retry with the same idempotencyKey returns the first campaign.
 * Events: none.
 */
export async function createCampaign(deps: Deps, { programId, input }: Create): Promise<Campaign> {
  const name = parse(text(200), input.name, 'input.name');
  const key = parse(text(200).nullish(), input.idempotencyKey, 'input.idempotencyKey') ?? undefined;
  const poolId = parseId<PoolId>(input.poolId);
  if (!poolId) throw notFound('input.poolId', 'pool');
  const named = readRecipients(input.recipients, 'input.recipients');
  const id = newId<CampaignId>(deps);
  const whom = named.map(({ email, memberId }) => email ?? memberId ?? '');
  return inTransaction(deps, async (tx) => {
    const made = await once(tx, {
      programId,
      operation: 'createCampaign',
      key,
      fingerprints: fingerprint([name, poolId, ...whom]),
      resultId: id,
      effect: () => make(tx, { deps, programId, poolId, id, name, named }),
    });
    return tx.campaign.findUniqueOrThrow({ where: { programId_id: { programId, id: made } } });
  });
}

type Make = {
  deps: Deps;
  programId: ProgramId;
  poolId: PoolId;
  id: CampaignId;
  name: string;
  named: Named[];
};

async function make(tx: Tx, { deps, id, name, named, programId, poolId }: Make): Promise<void> {
  const where = { programId_id: { programId, id: poolId } };
  if (!(await tx.pool.findUnique({ where, select: { id: true } })))
    throw notFound('input.poolId', 'pool');
  await tx.$executeRaw`
    INSERT INTO campaigns (program_id, id, name, pool_id, status, created_at)
    VALUES (${programId}::uuid, ${id}::uuid, ${name}, ${poolId}::uuid, 'DRAFT',
      program_now(${programId}::uuid))`;
  await addNamed(tx, { deps, programId, campaignId: id, named, field: 'input.recipients' });
}
