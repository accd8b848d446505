import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { lockProgram } from '../kernel/locks.ts';
import { assertMaturesInTime, readSettings } from './settings.ts';
import type { Program, SettingsInput } from './types.ts';

/**
 * Locks: PROGRAM, so that two changes that are each right are not wrong together; for other days of
 * warning the rows of the members who are in a grace.
 * Refusals: none; BAD_USER_INPUT for a value out of range, or points that expire before they
 * mature.
 * A retry sets the same values again.
 * Events: none.
 */
export async function updateProgram(
  deps: Deps,
  { programId, settings }: { programId: ProgramId; settings: SettingsInput },
): Promise<Program> {
  const changes = readSettings(settings, 'settings');
  return inTransaction(deps, async (tx) => {
    await lockProgram(tx, programId);
    const before = await tx.program.findUniqueOrThrow({ where: { id: programId } });
    assertMaturesInTime({ ...before, ...changes }, 'settings');
    const program = await tx.program.update({ where: { id: programId }, data: changes });
    // Whoever is in a grace waits for the day of the next warning: now that may be another one.
    if (isAnotherList(before.graceWarningDays, changes.graceWarningDays))
      await tx.$executeRaw`SELECT warn_anew(${programId}::uuid)`;
    return program;
  });
}

const isAnotherList = (before: readonly number[], after: readonly number[] | undefined): boolean =>
  after !== undefined && String([...before].sort()) !== String([...after].sort());
