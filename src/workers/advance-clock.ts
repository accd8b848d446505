import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { expirePoints } from '../loyalty/index.ts';
import { advanceClock as moveClock, type Program } from '../programs/index.ts';

type Advance = { programId: ProgramId; to: Date };

/**
 * Moves a sandbox's clock, and does the daily work of every local day it passes, in order, with the
 * clock at the start of that day. A day on which nothing is due is passed over. Interrupted, it
 * goes on where it stopped: what was due is still due.
 *
 * Refusals: none; BAD_USER_INPUT for a live program, and for an instant before its clock.
 */
export async function advanceClock(deps: Deps, { programId, to }: Advance): Promise<Program> {
  for (;;) {
    const day = await nextDueDay(deps, { programId, to });
    if (!day) return moveClock(deps, { programId, to });
    await moveClock(deps, { programId, to: day });
    await expirePoints(deps, { programId });
  }
}

/**
 * The start of the first day on which something has expired; not before the clock, not after `to`.
 */
async function nextDueDay(deps: Deps, { programId, to }: Advance): Promise<Date | undefined> {
  const [row] = await deps.db.$queryRaw<{ day: Date | null }[]>`
    WITH due AS (
      SELECT expires_at FROM ledger_batches
      WHERE program_id = ${programId}::uuid AND remaining > 0 AND expires_at <= ${to}
      ORDER BY expires_at LIMIT 1),
    day AS (
      SELECT expires_at,
        day_start(${programId}::uuid, day_of(${programId}::uuid, expires_at)) AS it,
        day_start(${programId}::uuid, day_of(${programId}::uuid, expires_at) + 1) AS next
      FROM due)
    SELECT greatest(CASE WHEN it = expires_at THEN it ELSE next END,
      program_now(${programId}::uuid)) AS day FROM day`;
  return row?.day && row.day <= to ? row.day : undefined;
}
