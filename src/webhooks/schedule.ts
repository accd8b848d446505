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

/**
 * The next attempt after one that failed, the `attempts`th; the last one falls on the end of three
 * days, and undefined says that it has been.
 */
export function nextAttempt(of: {
  firstTriedAt: Date;
  attempts: number;
  now: Date;
}): Date | undefined {
  const end = of.firstTriedAt.getTime() + PATIENCE_MS;
  const now = of.now.getTime();
  if (now >= end) return undefined;
  return new Date(Math.min(now + (PAUSES[of.attempts - 1] ?? LONGEST), end));
}

/** So many failures without a success between them are the endpoint's, not an event's. */
export const FAILURES_TO_REST = 5;

const SHORTEST_REST = 5 * SECOND;
const LONGEST_REST = HOUR;

/** As long again as it has been failing: so the rests double. */
export function restUntil({ failingSince, now }: { failingSince: Date; now: Date }): Date {
  const failingFor = now.getTime() - failingSince.getTime();
  const rest = Math.min(Math.max(failingFor, SHORTEST_REST), LONGEST_REST);
  return new Date(now.getTime() + rest);
}
