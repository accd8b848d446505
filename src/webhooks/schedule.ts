/** When what was not delivered is tried again. Real time; docs/webhooks.md says the same. */
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** After so long an event is given up, and an endpoint that took nothing meanwhile is disabled. */
export const PATIENCE_MS = 72 * HOUR;

const PAUSES = [5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE].concat(
  [1, 2, 4, 8, 12].map((hours) => hours * HOUR),
);
const LONGEST = 12 * HOUR;

// What failed together must not come back together: up to a fifth sooner, by chance.
const SOONER = 0.2;

/**
 * The next attempt after one that failed, the `attempts`th; the last one falls on the end of three
 * days, and undefined says that it has been. `luck` is from 0 up to 1.
 */
export function nextAttempt(of: {
  firstTriedAt: Date;
  attempts: number;
  now: Date;
  luck: number;
}): Date | undefined {
  const end = of.firstTriedAt.getTime() + PATIENCE_MS;
  const now = of.now.getTime();
  if (now >= end) return undefined;
  const pause = (PAUSES[of.attempts - 1] ?? LONGEST) * (1 - SOONER * of.luck);
  return new Date(Math.min(now + pause, end));
}

/** So many failures without a success between them are the endpoint's, not an event's. */
export const FAILURES_TO_REST = 5;

const SHORTEST_REST = 5 * SECOND;
const LONGEST_REST = HOUR;

type Failing = { failingSince: Date; now: Date; luck: number };

/** As long again as it has been failing: so the rests double. */
export function restUntil({ failingSince, now, luck }: Failing): Date {
  const failingFor = now.getTime() - failingSince.getTime();
  const rest = Math.min(Math.max(failingFor, SHORTEST_REST), LONGEST_REST);
  return new Date(now.getTime() + rest * (1 - SOONER * luck));
}

/** What a Retry-After asks for, seconds or a date; an hour at most, and nothing it does not say. */
export function askedUntil(said: string | undefined, now: Date): Date | undefined {
  if (said === undefined) return undefined;
  const at = /^\d{1,9}$/.test(said) ? now.getTime() + Number(said) * SECOND : Date.parse(said);
  if (!(at > now.getTime())) return undefined;
  return new Date(Math.min(at, now.getTime() + LONGEST_REST));
}
