import type { Deps } from '../deps.ts';
import { Mistake } from '../kernel/errors.ts';

const WINDOW_SECONDS = 15 * 60;

/**
 * Takes one attempt from each budget, or none: the window begins with the first and is not moved by
 * the later ones. An attempt is taken before the look-up, so that a thousand at once do not all
 * find the budget untouched.
 */
const TAKE = `
  for _, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[1]) then return 0 end
  end
  for _, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then redis.call('EXPIRE', key, ARGV[2]) end
  end
  return 1`;

/** Only a counter that is still there: a window that has ended must not begin anew below zero. */
const GIVE_BACK = `
  for _, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
  end
  return 1`;

type Guesser = { programId: string; memberId: string; address: string };

const budgets = ({ programId, memberId, address }: Guesser): string[] => [
  `flash:lookups:${programId}:member:${memberId}`,
  `flash:lookups:${programId}:address:${address}`,
];

/**
 * Runs a look-up on behalf of a member's token, which may fail ten times in 15 minutes. `isOwn`
 * tells from the answer whether the code was the member's: then the attempt is given back. Answers
 * BUSY when Redis does not answer (a limiter that lets through when it cannot count is none);
 * throws TOO_MANY_REQUESTS when the budget is spent.
 */
export async function withinBudget<T>(
  deps: Deps,
  guesser: Guesser,
  lookUp: { run(): Promise<T>; isOwn(answer: T): boolean },
): Promise<T | 'BUSY'> {
  const keys = budgets(guesser);
  let taken: unknown;
  try {
    taken = await deps.redis.eval(TAKE, 2, ...keys, deps.config.lookupBudget, WINDOW_SECONDS);
  } catch {
    return 'BUSY';
  }
  if (taken !== 1)
    throw new Mistake('TOO_MANY_REQUESTS', 'too many codes that are not yours: try again later');
  const answer = await lookUp.run();
  // Not given back when Redis has gone meanwhile: the budget is then one attempt too small, not too
  // large.
  if (lookUp.isOwn(answer)) await deps.redis.eval(GIVE_BACK, 2, ...keys).catch(() => undefined);
  return answer;
}
