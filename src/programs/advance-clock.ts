import type { Deps } from '../deps.ts';
import { badInput } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { assertClockRange } from './clock-range.ts';
import { getProgram } from './queries.ts';
import type { Program } from './types.ts';

/**
 * Locks: the program's row, by one guarded UPDATE.
 * Refusals: none; BAD_USER_INPUT for a live program, and for an instant before its clock.
 * A retry finds the clock at `to` and changes nothing.
 * Events: none.
 */
export async function advanceClock(
  deps: Deps,
  { programId, to }: { programId: ProgramId; to: Date },
): Promise<Program> {
  assertClockRange(to, 'to');
  const advanced = await deps.db.program.updateMany({
    where: { id: programId, sandbox: true, clock: { lte: to } },
    data: { clock: to },
  });
  if (advanced.count === 0) await assertMayAdvance(deps, { programId, to });
  return getProgram(deps, { programId });
}

/** What `advanceClock` would refuse, before anything is done for it. */
export async function assertMayAdvance(
  deps: Deps,
  { programId, to }: { programId: ProgramId; to: Date },
): Promise<void> {
  assertClockRange(to, 'to');
  const { sandbox, clock } = await getProgram(deps, { programId });
  if (!sandbox) throw badInput('to', 'a sandbox program: the clock of a live one is real time');
  if (clock && to < clock) throw badInput('to', 'an instant not before the clock');
}
