import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { fingerprint } from '../kernel/crypto.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { badInput, conflict, notFound, unavailable } from '../kernel/errors.ts';
import { once } from '../kernel/idempotency.ts';
import {
  type BatchId,
  type CampaignId,
  newId,
  type PoolId,
  type ProgramId,
  type RevocationId,
} from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { SEALED } from './sealed.ts';
import { mayTopUp, topUpPool } from './top-up-pool.ts';

/** Rows of one transaction: claims and redemptions of these codes wait for no longer than it is. */
const PAGE = 1_000;
/** For another process that mints the codes which a page needs. */
const PATIENCE_MS = 2_000;
const PAUSE_MS = 50;

/** Exactly one of `poolId`, `batchId` and `campaignId`. */
export type RevokeCodes = {
  programId: ProgramId;
  poolId?: PoolId | undefined;
  batchId?: BatchId | undefined;
  campaignId?: CampaignId | undefined;
  reason: string;
  replace: boolean;
  idempotencyKey: string;
};

/** Of the whole operation, over all its pages and calls. */
export type RevokedCodes = { revoked: number; recycled: number; replaced: number };

type Page = RevokedCodes & { finished: boolean };

/** Thrown, so that nothing is done of a page for which a pool has too few codes. */
class CodesMissing extends Error {
  readonly poolId: PoolId;
  readonly missing: number;

  constructor(of: { poolId: PoolId; missing: number }) {
    super('codes are missing');
    this.poolId = of.poolId;
    this.missing = of.missing;
  }
}

/**
 * Withdraws all codes of a pool, a batch or a campaign that are not redeemed; see codes_to_revoke
 * and revoke_codes in prisma/functions for which are retired, replaced, or given back to the pool.
 * In pages, each a transaction of its own.
 *
 * Locks: with replacements POOL shared; the revocation's row, then code rows in the order of their
 * ids, and those of recipients and campaigns.
 * Refusals: none; BAD_USER_INPUT names the field; NOT_FOUND; CONFLICT for a key used otherwise, for
 * a campaign that is ISSUING, to replace codes of a pool that issues none, and where it has too
 * few; SERVICE_UNAVAILABLE: what was done stays.
 * A retry with the same idempotencyKey goes on where the first call was cut short, and returns what
 * the whole of it did.
 * Events: code.revoked, code.replaced, code.recycled.
 */
export async function revokeCodes(deps: Deps, args: RevokeCodes): Promise<RevokedCodes> {
  const { programId, poolId } = args;
  const revocationId = await begin(deps, args);
  for (;;) {
    const page = await nextPage(deps, { programId, revocationId, poolId });
    const { finished, ...done } = page;
    if (finished) return done;
  }
}

async function begin(deps: Deps, args: RevokeCodes): Promise<string> {
  const { programId, poolId = null, batchId = null, campaignId = null, replace } = args;
  const reason = parse(text(500), args.reason, 'input.reason');
  const key = parse(text(200), args.idempotencyKey, 'input.idempotencyKey');
  const of = [poolId, batchId, campaignId];
  if (of.filter((id) => id !== null).length !== 1)
    throw badInput('input', 'exactly one of poolId, batchId and campaignId');
  return inTransaction(deps, async (tx) => {
    await requireTarget(tx, args);
    const id = newId<RevocationId>(deps);
    const begun = await once(tx, {
      programId,
      operation: 'revokeCodes',
      key,
      fingerprints: fingerprint([...of.map(String), reason, String(replace)]),
      resultId: id,
      effect: async () => {
        await tx.$executeRaw`
          INSERT INTO revocations (program_id, id, pool_id, batch_id, campaign_id, reason, replace,
            created_at)
          VALUES (${programId}::uuid, ${id}::uuid, ${poolId}::uuid, ${batchId}::uuid,
            ${campaignId}::uuid, ${reason}, ${replace}, program_now(${programId}::uuid))`;
      },
    });
    await refuseWhileIssuing(tx, { programId, id: begun });
    return begun;
  });
}

/** What is left to take back of such a campaign would be issued anew a moment later. */
async function refuseWhileIssuing(tx: Tx, { programId, id }: { programId: ProgramId; id: string }) {
  const where = { programId, id, finishedAt: null, campaign: { status: 'ISSUING' } } as const;
  if (await tx.revocation.findFirst({ where }))
    throw conflict(
      'input.campaignId: its codes are being issued: pause its pool, or wait, until it is ' +
        'through, and ask again',
    );
}

async function requireTarget(tx: Tx, { programId, poolId, batchId, campaignId }: RevokeCodes) {
  const of = (id: string) => ({ where: { programId_id: { programId, id } } });
  if (poolId && !(await tx.pool.findUnique(of(poolId)))) throw notFound('input.poolId', 'pool');
  if (batchId && !(await tx.codeBatch.findFirst({ where: { programId, id: batchId, ...SEALED } })))
    throw notFound('input.batchId', 'batch');
  if (campaignId && !(await tx.campaign.findUnique(of(campaignId))))
    throw notFound('input.campaignId', 'campaign');
}

type PageOf = { programId: ProgramId; revocationId: string; poolId: PoolId | undefined };

/** The id that was sent is not told again. */
const named = (of: PageOf, poolId: PoolId) => (of.poolId ? 'the pool' : `pool ${poolId}`);

/** A pool that tops itself up makes what is missing, or another process makes it at this moment. */
async function nextPage(deps: Deps, of: PageOf): Promise<Page> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  let full: PoolId | undefined;
  for (;;) {
    try {
      return await inTransaction(deps, (tx) => revokePage(tx, of));
    } catch (error) {
      if (!(error instanceof CodesMissing)) throw error;
      const { poolId, missing } = error;
      if (poolId === full) throw needed(named(of, poolId), missing);
      const pool = { programId: of.programId, poolId };
      if ((await topUpPool(deps, { ...pool, wanted: true })) > 0) continue;
      if (await mayTopUp(deps, pool)) {
        if (performance.now() > giveUpAt)
          throw unavailable('the pool is being topped up: ask again');
        await sleep(PAUSE_MS);
      } else full = poolId; // maybe since this moment: then what was missing is there now
    }
  }
}

const needed = (pool: string, missing: number) =>
  conflict(
    `input.replace: ${pool} needs ${missing} more free codes to go on: ` +
      'add them, and ask again with the same idempotencyKey',
  );

type Row = Page & { stoppedBy: PoolId | null; missing: number | null };

async function revokePage(tx: Tx, of: PageOf): Promise<Page> {
  const { programId, revocationId } = of;
  const [row] = await tx.$queryRaw<Row[]>`
    SELECT (job).revoked, (job).recycled, (job).replaced, (job).finished_at IS NOT NULL AS finished,
      stopped_by::text AS "stoppedBy", missing
    FROM revoke_codes(${programId}::uuid, ${revocationId}::uuid, ${PAGE}::int)`;
  if (!row) throw new Error('a page of a revocation without an answer');
  const { stoppedBy, missing, ...page } = row;
  if (stoppedBy && missing) throw new CodesMissing({ poolId: stoppedBy, missing });
  if (stoppedBy)
    throw conflict(
      `input.replace: ${named(of, stoppedBy)} issues no fresh codes: only one that is ACTIVE and ` +
        'within its dates does: resume it, or revoke without replace',
    );
  return page;
}
