import type { Deps } from '../deps.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { conflict, notFound } from '../kernel/errors.ts';
import { lockPool } from '../kernel/locks.ts';
import { appendEvent } from '../kernel/outbox.ts';
import type { Pool, PoolRef, PoolStatus } from './types.ts';

type Verb = 'activated' | 'paused' | 'resumed' | 'archived';
type Arrow = { from: PoolStatus[]; to: PoolStatus; verb: Verb };

/**
 * The five arrows in the life of a pool; there are no others, and the database knows the same five.
 * Once one has answered, no code is issued that was not issued before: claims share the pool's
 * lock.
 *
 * Locks: POOL.
 * Refusals: none; CONFLICT from any other status, to activate a pool without a code, or while codes
 * of a job are made or removed.
 * A retry of a move that was made is a CONFLICT, and changes nothing.
 * Events: pool.activated, pool.paused, pool.resumed, pool.archived.
 */
export const activatePool = (deps: Deps, ref: PoolRef): Promise<Pool> =>
  change(deps, { ...ref, from: ['DRAFT'], to: 'ACTIVE', verb: 'activated' });

export const pausePool = (deps: Deps, ref: PoolRef): Promise<Pool> =>
  change(deps, { ...ref, from: ['ACTIVE'], to: 'PAUSED', verb: 'paused' });

export const resumePool = (deps: Deps, ref: PoolRef): Promise<Pool> =>
  change(deps, { ...ref, from: ['PAUSED'], to: 'ACTIVE', verb: 'resumed' });

export const archivePool = (deps: Deps, ref: PoolRef): Promise<Pool> =>
  change(deps, { ...ref, from: ['ACTIVE', 'PAUSED'], to: 'ARCHIVED', verb: 'archived' });

async function change(deps: Deps, { programId, poolId, ...arrow }: PoolRef & Arrow): Promise<Pool> {
  const where = { programId_id: { programId, id: poolId } };
  return inTransaction(deps, async (tx) => {
    await lockPool(tx, { programId, poolId });
    if (arrow.to === 'ACTIVE') await checkIsSealed(tx, { programId, poolId });
    if (arrow.from.includes('DRAFT')) await checkHasCodes(tx, { programId, poolId });
    const { count } = await tx.pool.updateMany({
      where: { programId, id: poolId, status: { in: arrow.from } },
      data: { status: arrow.to },
    });
    const pool = await tx.pool.findUnique({ where });
    if (!pool) throw notFound('id', 'pool');
    if (count !== 1) throw conflict(`id: a pool in ${pool.status} cannot be ${arrow.verb}`);
    await appendEvent(tx, { programId, type: `pool.${arrow.verb}`, data: { poolId } });
    return pool;
  });
}

async function checkHasCodes(tx: Tx, { programId, poolId }: PoolRef) {
  const pool = await tx.pool.findUnique({ where: { programId_id: { programId, id: poolId } } });
  if (!pool) throw notFound('id', 'pool');
  const code = await tx.code.findFirst({ where: { programId, poolId, status: 'AVAILABLE' } });
  if (!code && pool.exhaustion !== 'TOP_UP')
    throw conflict('id: a pool without a code cannot be activated: generate codes first');
}

/** Claims go by the pool's status alone: none of its codes may be there and not count yet. */
async function checkIsSealed(tx: Tx, { programId, poolId }: PoolRef) {
  const unsealed = await tx.codeJob.findFirst({
    where: {
      programId,
      poolId,
      OR: [{ status: 'RUNNING' }, { status: { not: 'SEALED' }, batches: { some: {} } }],
    },
  });
  if (unsealed?.status === 'RUNNING')
    throw conflict('id: a job is generating codes for this pool: wait until it is SEALED');
  if (unsealed) throw conflict("id: a cancelled job's codes are being removed: ask again");
}
