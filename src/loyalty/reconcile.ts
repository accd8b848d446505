import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';

export type Difference = { invariant: string; subject: string; expected: number; actual: number };

/** Every invariant of the ledger and of the tiers; an empty list says that it does. */
export async function reconcilePoints(
  deps: Pick<Deps, 'db'>,
  { programId }: { programId: ProgramId },
): Promise<Difference[]> {
  const rows = await deps.db.$queryRaw<Difference[]>`
    SELECT invariant, subject, expected::float8, actual::float8
    FROM reconcile_points(${programId}::uuid)
    UNION ALL SELECT invariant, subject, expected::float8, actual::float8
    FROM reconcile_tiers(${programId}::uuid)`;
  return rows;
}
