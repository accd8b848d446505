import { poolsRunningLow, topUpPool } from '../coupons/index.ts';
import type { Deps } from '../deps.ts';

/** Tops up every pool that has run low, so that a claimant seldom has to wait for it. */
export async function topUpPools(deps: Deps): Promise<void> {
  for (const pool of await poolsRunningLow(deps)) {
    // What one pool throws (a lock that is held too long) must not keep the others waiting.
    await topUpPool(deps, pool).catch((error: unknown) =>
      deps.log.error({ poolId: pool.poolId, error: (error as Error).name }, 'top-up failed'),
    );
  }
}
