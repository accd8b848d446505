import type { Deps } from '../deps.ts';
import { fingerprint } from '../kernel/crypto.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { conflict, notFound } from '../kernel/errors.ts';
import { once } from '../kernel/idempotency.ts';
import { type JobId, newId } from '../kernel/ids.ts';
import { parse, text, whole } from '../kernel/input.ts';
import { wakeFleet } from '../kernel/wake-up.ts';
import { checkRoom, lockForCodes, takesCodes } from './store-batch.ts';
import { CODE_JOB, type CodeJob, type PoolRef } from './types.ts';

export const MAX_JOB = 5_000_000;

type Start = PoolRef & { count: number; idempotencyKey?: string | null | undefined };

/**
 * Begins to generate `count` (1..5,000,000) codes in the background. None of them is in a list, a
 * count or a claim before all of them are there.
 *
 * Locks: POOL shared, CODE_SPACE.
 * Refusals: none; CONFLICT in ACTIVE and ARCHIVED, beyond maxCodes, while another job of the pool
 * runs, or for a key used otherwise.
 * A retry with the same idempotencyKey returns the first job.
 * Events: none; pool.codes_added when the job is sealed.
 */
export async function generateCodesJob(deps: Deps, args: Start): Promise<CodeJob> {
  const count = parse(whole(1, MAX_JOB), args.count, 'count');
  const key = parse(text(200).nullish(), args.idempotencyKey, 'idempotencyKey') ?? undefined;
  const { programId, poolId } = args;
  const resultId = newId<JobId>(deps);
  return inTransaction(deps, async (tx) => {
    const id = await once(tx, {
      programId,
      operation: 'generateCodesJob',
      key,
      fingerprints: fingerprint([poolId, String(count)]),
      resultId,
      effect: () => begin(tx, { programId, poolId, count, id: resultId }),
    });
    return tx.codeJob.findUniqueOrThrow({ where: { programId_id: { programId, id } } });
  });
}

async function begin(tx: Tx, { id, ...of }: PoolRef & { count: number; id: JobId }): Promise<void> {
  const { programId, poolId, count } = of;
  const where = { programId_id: { programId, id: poolId } };
  if (!(await tx.pool.findUnique({ where, select: { id: true } })))
    throw notFound('poolId', 'pool');
  const pool = await lockForCodes(tx, { programId, poolId });
  if (!takesCodes(pool))
    throw conflict(`poolId: codes are generated in DRAFT and PAUSED, not in ${pool.status}`);
  await checkRoom(tx, { pool, count });
  const begun = await tx.$executeRaw`
    INSERT INTO code_jobs (program_id, id, pool_id, count, status, created_at)
    VALUES (${programId}::uuid, ${id}::uuid, ${poolId}::uuid, ${count}, 'RUNNING',
      program_now(${programId}::uuid))
    ON CONFLICT (program_id, pool_id) WHERE status = 'RUNNING' DO NOTHING`;
  if (begun !== 1) throw conflict('poolId: a job of this pool is running already');
  await wakeFleet(tx, { task: CODE_JOB, programId, id });
}
