import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';

const TIMES = 2;
const LONGEST_MS = 1_000;

/**
 * Between the full pages of long work. Where anybody else is at work in the database, it is left to
 * them for twice as long as the page took, so that claims keep most of their throughput: nobody
 * waits for the sweep. With the machine to itself it never rests.
 */
export async function giveWay({ db }: Deps, milliseconds: number): Promise<void> {
  const [others] = await db.$queryRaw<{ busy: boolean }[]>`
    SELECT EXISTS (
      SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend'
        AND state = 'active' AND pid <> pg_backend_pid()) AS busy`;
  if (others?.busy) await sleep(Math.min(TIMES * milliseconds, LONGEST_MS));
}
