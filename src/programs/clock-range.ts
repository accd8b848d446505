import { badInput } from '../kernel/errors.ts';

// Any date in it has twelve months before and a hundred years after it that every calendar knows.
const FIRST = Date.UTC(1970, 0, 1);
const LAST = Date.UTC(2999, 11, 31);

/** Where a sandbox clock may stand. */
export function assertClockRange(clock: Date, path: string): void {
  const at = clock.getTime();
  if (!(at >= FIRST && at <= LAST)) throw badInput(path, 'an instant from 1970 to 2999');
}
