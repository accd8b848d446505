import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { ledgerMetrics } from './metrics.ts';
import type { LedgerBatch } from './types.ts';

const TRIES = 2;
const KEPT_SECONDS = 3 * 24 * 60 * 60;

/**
 * The fast tracker of the daily cap: what each member was awarded on each day, in one hash a
 * member. It never decides alone. The ledger's own total, read under the member's lock, does; but
 * where the tracker does not answer, nothing is awarded that would need it.
 */
export type Tracked = { known: boolean; totals: Record<string, string> };

/** Also of a tracker that was not asked. */
export const UNKNOWN: Tracked = { known: false, totals: {} };

type Of = { programId: string; memberId: string };
const keyOf = ({ programId, memberId }: Of) => `flash:cap:${programId}:${memberId}`;

/** Asked twice, a quarter of a second each time: unreachable and slow are the same. */
export async function readTracker(deps: Deps, of: Of): Promise<Tracked> {
  for (let tried = 0; tried < TRIES; tried++) {
    const totals = await inTime(deps, deps.redis.hgetall(keyOf(of)));
    if (totals) return { known: true, totals };
  }
  return UNKNOWN;
}

async function inTime<T>({ config }: Deps, answer: Promise<T>): Promise<T | undefined> {
  const tooLate = sleep(config.capPatienceMs, undefined, { ref: false });
  return Promise.race([answer.catch(() => undefined), tooLate]);
}

/**
 * Set, never added to, so that a call that is lost, doubled or late changes nothing. A tracker that
 * was seen ahead of the ledger is put right, unless somebody else has changed it since.
 */
const RAISE = `
  local now = redis.call('HGET', KEYS[1], ARGV[1])
  if not now or (tonumber(now) or -1) < tonumber(ARGV[2]) or now == ARGV[3] then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  end
  redis.call('EXPIRE', KEYS[1], ARGV[4])
  return 1`;

/**
 * After the commit of a fresh award. `total` is the ledger's; what Redis makes of it is not waited
 * for.
 */
export function raiseTracker(
  deps: Deps,
  of: Of & { lot: Pick<LedgerBatch, 'day' | 'points'>; total: bigint; seen: Tracked },
): void {
  const day = of.lot.day.toISOString().slice(0, 10);
  const seen = of.seen.totals[day];
  const ahead = seen !== undefined && Number(seen) > Number(of.total) ? seen : '';
  const isLost = seen === undefined && of.total > of.lot.points;
  if (isLost || ahead) ledgerMetrics(deps).rebuilds.inc();
  deps.redis
    .eval(RAISE, 1, keyOf(of), day, of.total.toString(), ahead, KEPT_SECONDS)
    .catch(() => undefined);
}
