import type { Deps } from '../deps.ts';
import { conflict } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { takeLease } from '../kernel/lease.ts';
import { assertMayAdvance, advanceClock as moveClock, type Program } from '../programs/index.ts';
import { workDays } from './daily-work.ts';
import { atWork } from './lease.ts';

/** One advance at a time: another one is turned away, and not kept waiting. */
const ADVANCE = 'advance';
// What the fleet does for a sandbox is over sooner, as a rule.
const PATIENCE_MS = 3_000;

type Advance = { programId: ProgramId; to: Date };

/**
 * Moves a sandbox's clock, and does the daily work of every local day it passes, in order, with the
 * clock at the start of that day. Interrupted, the next call finishes first what was begun.
 *
 * Refusals: none; BAD_USER_INPUT for a live program, and for an instant before its clock; CONFLICT
 * while somebody else advances its clock, or has died at it within the last seconds, and while the
 * fleet makes up for members who failed for longer than a moment.
 */
export async function advanceClock(deps: Deps, { programId, to }: Advance): Promise<Program> {
  await assertMayAdvance(deps, { programId, to });
  const lease = await takeLease(deps, { programId, name: ADVANCE });
  if (!lease) throw conflict('the clock of this program is being advanced: ask again in a while');
  try {
    return await advance(deps, { programId, to });
  } finally {
    await lease.release();
  }
}

async function advance(deps: Deps, { programId, to }: Advance): Promise<Program> {
  const begin = (start: Date) => moveClock(deps, { programId, to: start });
  const done = await atWork(deps, { programId, patience: PATIENCE_MS }, async (mayGoOn) => {
    await workDays(deps, { programId, until: to, mayGoOn, begin });
    return moveClock(deps, { programId, to });
  });
  if (!done)
    throw conflict('the daily work of this program is under way: ask again in a few seconds');
  return done.result;
}
