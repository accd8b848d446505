import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { Mistake } from '../kernel/errors.ts';

const WINDOW_SECONDS = 15 * 60;
const FLIGHT_SECONDS = 10;
const PATIENCE_MS = 2_000;
const PAUSE_MS = 20;

const SPENT = 0;
const TAKEN = 1;

/**
 * Admits a look-up: SPENT when as many have failed as may, TAKEN when there is room for one that
 * fails, else WAIT, because those under way could use up the rest. Counted before the look-up, so
 * that a thousand at once do not all find the budget untouched.
 */
const TAKE = `
  for i = 1, 2 do
    if tonumber(redis.call('GET', KEYS[i]) or '0') >= tonumber(ARGV[1]) then return 0 end
  end
  for i = 1, 2 do
    local failed = tonumber(redis.call('GET', KEYS[i]) or '0')
    local flying = tonumber(redis.call('GET', KEYS[i + 2]) or '0')
    if failed + flying >= tonumber(ARGV[1]) then return 2 end
  end
  for i = 3, 4 do
    redis.call('INCR', KEYS[i])
    redis.call('EXPIRE', KEYS[i], ARGV[2])
  end
  return 1`;

/** The window begins with the first failure, and is not moved by the later ones. */
const SETTLE = `
  for i = 3, 4 do
    if tonumber(redis.call('GET', KEYS[i]) or '0') > 0 then redis.call('DECR', KEYS[i]) end
  end
  if ARGV[1] == 'failed' then
    for i = 1, 2 do
      if redis.call('INCR', KEYS[i]) == 1 then redis.call('EXPIRE', KEYS[i], ARGV[2]) end
    end
  end
  return 1`;

type Guesser = { programId: string; memberId: string; address: string };

function keysOf({ programId, memberId, address }: Guesser): string[] {
  const whose = [`member:${memberId}`, `address:${address}`];
  return ['lookups', 'flights'].flatMap((what) =>
    whose.map((who) => `flash:${what}:${programId}:${who}`),
  );
}

/**
 * Runs a look-up on behalf of a member's token, which may fail ten times in 15 minutes. `isOwn`
 * tells from the answer whether the code was the member's: then it costs nothing. Answers BUSY when
 * Redis does not answer (a limiter that lets through when it cannot count is none); throws
 * TOO_MANY_REQUESTS when the budget is spent.
 */
export async function withinBudget<T>(
  deps: Deps,
  guesser: Guesser,
  lookUp: { run(): Promise<T>; isOwn(answer: T): boolean },
): Promise<T | 'BUSY'> {
  const keys = keysOf(guesser);
  if (!(await admit(deps, keys))) return 'BUSY';
  let own = false;
  try {
    const answer = await lookUp.run();
    own = lookUp.isOwn(answer);
    return (await settle(deps, { keys, own })) || own ? answer : 'BUSY';
  } catch (error) {
    await settle(deps, { keys, own: true }); // it told nothing
    throw error;
  }
}

/** False when Redis is away, or there was no room in time. */
async function admit(deps: Deps, keys: string[]): Promise<boolean> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  while (performance.now() < giveUpAt) {
    const taken = await deps.redis
      .eval(TAKE, keys.length, ...keys, deps.config.lookupBudget, FLIGHT_SECONDS)
      .catch(() => undefined);
    if (taken === undefined) return false;
    if (taken === TAKEN) return true;
    if (taken === SPENT)
      throw new Mistake('TOO_MANY_REQUESTS', 'too many codes that are not yours: try again later');
    await sleep(PAUSE_MS);
  }
  return false;
}

/** False when it could not be counted: what a failed look-up found out is then not told. */
async function settle(deps: Deps, of: { keys: string[]; own: boolean }): Promise<boolean> {
  const outcome = of.own ? 'own' : 'failed';
  return deps.redis
    .eval(SETTLE, of.keys.length, ...of.keys, outcome, WINDOW_SECONDS)
    .then(() => true)
    .catch(() => false);
}
