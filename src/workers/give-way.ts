import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { Prisma } from '../generated/prisma/client.ts';

const TIMES = 4;
const LONGEST_MS = 1_000;
const RECENT = Prisma.sql`interval '50 milliseconds'`;

/**
 * Between the full pages of long work. Where anybody else was at work in the database meanwhile, it
 * is left to them for four times as long as the page took, so that claims keep most of their
 * throughput: nobody waits for the sweep. With the machine to itself it never rests. Answers
 * whether it did.
 */
export async function giveWay({ db }: Deps, milliseconds: number): Promise<boolean> {
  // Short statements are seldom under way at the very moment of the question, so the last moments
  // count as well. One connection alone may be the fleet's own, which looks for work all the time.
  const [others] = await db.$queryRaw<{ busy: boolean }[]>`
    SELECT coalesce(bool_or(state = 'active'), false) OR count(*) > 1 AS busy
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
      AND pid <> pg_backend_pid()
      AND (state = 'active' OR state_change > now() - ${RECENT})`;
  if (!others?.busy) return false;
  await sleep(Math.min(TIMES * milliseconds, LONGEST_MS));
  return true;
}
