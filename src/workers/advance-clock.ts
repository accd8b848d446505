import type { Deps } from '../deps.ts';
import { conflict } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { assertMayAdvance, advanceClock as moveClock, type Program } from '../programs/index.ts';
import { workDays } from './daily-work.ts';
import { atWork } from './lease.ts';

// What the fleet does for a sandbox is over sooner, as a rule.
const PATIENCE_MS = 3_000;

type Advance = { programId: ProgramId; to: Date };

/**
 * Moves a sandbox's clock, and does the daily work of every local day it passes, in order, with the
 * clock at the start of that day. Interrupted, the next call finishes first what was begun.
 *
 * Refusals: none; BAD_USER_INPUT for a live program, and for an instant before its clock; CONFLICT
 * while somebody else is at the program's daily work: advances its clock, makes up for members who
 * failed, or has died at it within the last seconds.
 */
export async function advanceClock(deps: Deps, { programId, to }: Advance): Promise<Program> {
  await assertMayAdvance(deps, { programId, to });
  const begin = (start: Date) => moveClock(deps, { programId, to: start });
  const done = await atWork(deps, { programId, patience: PATIENCE_MS }, async (mayGoOn) => {
    await workDays(deps, { programId, until: to, mayGoOn, begin });
    return moveClock(deps, { programId, to });
  });
  if (!done)
    throw conflict('the daily work of this program is under way: ask again in a few seconds');
  return done.result;
}
