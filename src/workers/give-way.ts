import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';

const TIMES = 2;
const LONGEST_MS = 1_000;

/**
 * Between the full pages of long work. Where anybody else was at work in the database meanwhile, it
 * is left to them for twice as long as the page took, so that claims keep most of their throughput:
 * nobody waits for the sweep. With the machine to itself it never rests. Answers whether it did.
 */
export async function giveWay({ db }: Deps, milliseconds: number): Promise<boolean> {
  // A short statement is seldom under way at the very moment of the question: its end is looked at.
  const [others] = await db.$queryRaw<{ busy: boolean }[]>`
    SELECT EXISTS (
      SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend'
        AND pid <> pg_backend_pid()
        AND (state = 'active' OR state_change > now() - ${milliseconds} * interval '1 millisecond')
    ) AS busy`;
  if (!others?.busy) return false;
  await sleep(Math.min(TIMES * milliseconds, LONGEST_MS));
  return true;
}
