import { poolsRunningLow, topUpPool } from '../coupons/index.ts';
import type { ProgramTask } from './program-run.ts';

/** Tops up every pool that has run low, so that a claimant seldom has to wait for it. */
export const topUpPools: ProgramTask = {
  task: 'TOP_UP_POOLS',
  work: async (deps, { programId, onFailure }) => {
    const pools = await poolsRunningLow(deps, { programId });
    let changed = 0;
    for (const pool of pools) {
      try {
        changed += (await topUpPool(deps, pool)) > 0 ? 1 : 0;
      } catch (error) {
        // What one pool throws (a lock that is held too long) must not keep the others waiting.
        await onFailure(null, error);
      }
    }
    return { scanned: pools.length, changed };
  },
};
