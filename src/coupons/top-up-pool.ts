import type { Deps } from '../deps.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import type { PoolId, ProgramId } from '../kernel/ids.ts';
import { lockPoolShared, tryLockTopUp } from '../kernel/locks.ts';
import { prepareMint } from './generate-codes.ts';
import { roomIn } from './store-batch.ts';
import type { Pool, PoolRef } from './types.ts';

const MINTED_AT_ONCE = 500;
const FREE_SHARE = 10; // a pool is topped up when less than one in ten of its codes is free

/** `wanted`: somebody needs more codes than there are, however many are free. */
type TopUp = PoolRef & { wanted?: boolean };

/**
 * Mints min(500, what maxCodes leaves) for an ACTIVE pool that tops itself up and has run low. One
 * process does it at a time; the others answer 0 at once. Answers how many codes were minted.
 *
 * Locks: TOP_UP (tried), POOL shared, CODE_SPACE.
 * Refusals: none.
 * A retry mints only while the pool is still low.
 * Events: pool.codes_added.
 */
export async function topUpPool(deps: Deps, { wanted, ...ref }: TopUp): Promise<number> {
  const { programId, poolId } = ref;
  return inTransaction(deps, async (tx) => {
    if (!(await tryLockTopUp(tx, ref))) return 0;
    await lockPoolShared(tx, ref); // or a pause could come after the next line
    const pool = await tx.pool.findUnique({ where: { programId_id: { programId, id: poolId } } });
    const count = Math.min(MINTED_AT_ONCE, await roomToTopUp(tx, pool));
    if (!pool || count <= 0 || !(wanted || (await isLow(tx, pool)))) return 0;
    await prepareMint(deps, { pool, count, topUp: true }).write(tx);
    return count;
  });
}

/** Whether a pool could be topped up, by this process or by the one that is at it now. */
export async function mayTopUp(deps: Deps, { programId, poolId }: PoolRef): Promise<boolean> {
  return inTransaction(deps, async (tx) => {
    const pool = await tx.pool.findUnique({ where: { programId_id: { programId, id: poolId } } });
    return (await roomToTopUp(tx, pool)) > 0;
  });
}

const roomToTopUp = async (tx: Tx, pool: Pool | null): Promise<number> =>
  pool?.status === 'ACTIVE' && pool.exhaustion === 'TOP_UP' ? roomIn(tx, pool) : 0;

type Reader = Pick<Deps['db'], '$queryRaw'>;

/** Counts free codes only up to the share that matters, so that a full pool costs no scan. */
async function isLow(db: Reader, pool: Pick<Pool, 'programId' | 'id'>): Promise<boolean> {
  const [row] = await db.$queryRaw<{ low: boolean }[]>`
    WITH made AS (
      SELECT coalesce(sum(count), 0) AS count FROM code_batches
      WHERE program_id = ${pool.programId}::uuid AND pool_id = ${pool.id}::uuid)
    SELECT (SELECT count(*) FROM (
        SELECT FROM codes
        WHERE program_id = ${pool.programId}::uuid AND pool_id = ${pool.id}::uuid
          AND status = 'AVAILABLE'
        LIMIT (SELECT ceil(count / ${FREE_SHARE}::numeric) FROM made)) free)
      < (SELECT greatest(1, count / ${FREE_SHARE}::numeric) FROM made) AS low`;
  return row?.low === true;
}

/**
 * The pools that a worker should look at: ACTIVE, topping themselves up, and low, with room for
 * more; of one program, or of all.
 */
export async function poolsRunningLow(
  deps: Deps,
  of: { programId?: ProgramId } = {},
): Promise<PoolRef[]> {
  const pools = await deps.db.pool.findMany({
    where: { ...of, status: 'ACTIVE', exhaustion: 'TOP_UP' },
    select: { programId: true, id: true, maxCodes: true },
  });
  const low: PoolRef[] = [];
  for (const pool of pools)
    if ((await isLow(deps.db, pool)) && (await roomIn(deps.db, pool)) > 0)
      low.push({ programId: pool.programId as ProgramId, poolId: pool.id as PoolId });
  return low;
}
