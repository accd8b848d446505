import type { Deps } from '../deps.ts';
import { retrying } from '../kernel/db.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { inPages, PAGE } from '../kernel/in-pages.ts';

type Day = { programId: ProgramId; day: string };
type RunOut = { id: string; holder: string | null; until: Date };

// Before every instant and every code.
const FIRST = '-infinity 00000000-0000-0000-0000-000000000000';

/**
 * Clears the reservations that have run out as of the start of the day: tidiness, for a claim or a
 * redemption takes no notice of them any more. `onFailure` is told of each code that fails, by its
 * holder.
 *
 * Locks: the rows of a page of codes, in order.
 * Refusals: none.
 * A retry finds nothing left to clear.
 * Events: none.
 */
export function releaseReservations(
  deps: Deps,
  of: Day & { onFailure(memberId: string | null, error: unknown): Promise<void> },
): Promise<{ scanned: number; changed: number }> {
  const { programId, day } = of;
  return inPages({
    list: (after) => runOut(deps, { programId, day, after, limit: PAGE }),
    work: (codes) => clear(deps, { programId, day, ids: codes.map(({ id }) => id) }),
    failed: ({ holder }, error) => of.onFailure(holder, error),
  });
}

export async function anyReservationRunOut(deps: Deps, of: Day): Promise<boolean> {
  return (await runOut(deps, { ...of, after: undefined, limit: 1 })).length > 0;
}

async function runOut(deps: Deps, of: Day & { after: string | undefined; limit: number }) {
  const [until, id] = (of.after ?? FIRST).split(' ');
  const rows = await deps.db.$queryRaw<RunOut[]>`
    SELECT id, member_id AS holder, reserved_until AS until FROM codes
    WHERE program_id = ${of.programId}::uuid
      AND reserved_until <= day_start(${of.programId}::uuid, ${of.day}::date)
      AND (reserved_until, id) > (${until}::timestamptz, ${id}::uuid)
    ORDER BY reserved_until, id LIMIT ${of.limit}::int`;
  return rows.map((row) => ({ ...row, cursor: `${row.until.toISOString()} ${row.id}` }));
}

async function clear(deps: Deps, of: Day & { ids: string[] }): Promise<number> {
  return retrying(
    () => deps.db.$executeRaw`
      WITH run_out AS (
        SELECT id FROM codes
        WHERE program_id = ${of.programId}::uuid AND id = ANY (${of.ids}::uuid[])
          AND reserved_until <= day_start(${of.programId}::uuid, ${of.day}::date)
        ORDER BY id FOR NO KEY UPDATE)
      UPDATE codes c SET reserved_for = NULL, reserved_until = NULL
      FROM run_out WHERE c.program_id = ${of.programId}::uuid AND c.id = run_out.id`,
  );
}
