import { setTimeout as sleep } from 'node:timers/promises';
import { DAY } from './ledger.ts';
import { torture } from './torture.ts';

/** What a test begins on a day of real time ends on that day: it takes less than this. */
const ENOUGH_MS = torture ? 300_000 : 60_000;

/** Today in UTC; when that is nearly over, tomorrow as soon as it has begun. */
export async function today(): Promise<string> {
  const left = DAY - (Date.now() % DAY);
  if (left < ENOUGH_MS) await sleep(left + 1_000);
  return new Date().toISOString().slice(0, 10);
}
