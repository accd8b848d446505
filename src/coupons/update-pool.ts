import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { badInput, conflict, notFound } from '../kernel/errors.ts';
import { lockPool, lockProgram } from '../kernel/locks.ts';
import { appendEvent } from '../kernel/outbox.ts';
import { checkReferences, type PoolInput, readPoolInput } from './pool-input.ts';
import { roomIn } from './store-batch.ts';
import type { Pool, PoolRef } from './types.ts';

/**
 * Replaces the settings of a pool in DRAFT.
 *
 * Locks: PROGRAM, POOL.
 * Refusals: none; BAD_USER_INPUT names the field; CONFLICT outside of DRAFT.
 * A retry writes the same settings again.
 * Events: pool.updated.
 */
export async function updatePool(
  deps: Deps,
  { programId, poolId, input }: PoolRef & { input: PoolInput },
): Promise<Pool> {
  const settings = readPoolInput(input);
  return inTransaction(deps, async (tx) => {
    await lockProgram(tx, programId);
    await lockPool(tx, { programId, poolId });
    const pool = await tx.pool.findUnique({ where: { programId_id: { programId, id: poolId } } });
    if (!pool) throw notFound('id', 'pool');
    if (pool.status !== 'DRAFT')
      throw conflict(`id: a pool is edited in DRAFT, not in ${pool.status}`);
    const room = await roomIn(tx, { ...pool, maxCodes: settings.maxCodes });
    if (room < 0)
      throw badInput('input.maxCodes', `${-room} more: so many codes are there already`);
    await checkReferences(tx, { programId, poolId, settings });
    await appendEvent(tx, { programId, type: 'pool.updated', data: { poolId } });
    return tx.pool.update({
      where: { programId_id: { programId, id: poolId }, status: 'DRAFT' },
      data: settings,
    });
  });
}
