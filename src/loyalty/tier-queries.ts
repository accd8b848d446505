import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';

/** The points that count for each member's tier today; one statement for any number of members. */
export async function earned12Months(
  deps: Deps,
  { programId, ids }: { programId: ProgramId; ids: readonly string[] },
): Promise<bigint[]> {
  const rows = await deps.db.$queryRaw<{ points: bigint }[]>`
    SELECT (
      SELECT coalesce(sum(q.points), 0)::bigint
      FROM qualifying_lots(${programId}::uuid, asked.id, c.today) q) AS points
    FROM unnest(${[...ids]}::uuid[]) WITH ORDINALITY AS asked(id, place), (
      SELECT day_of(${programId}::uuid, program_now(${programId}::uuid)) AS today) c
    ORDER BY asked.place`;
  return rows.map(({ points }) => points);
}
