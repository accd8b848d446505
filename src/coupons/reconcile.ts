import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';

export type Difference = { invariant: string; subject: string; expected: number; actual: number };

/** The census of codes: an empty list says that it ties out. Changes nothing. */
export async function reconcileCodes(
  deps: Pick<Deps, 'db'>,
  { programId }: { programId: ProgramId },
): Promise<Difference[]> {
  return deps.db.$queryRaw<Difference[]>`
    SELECT invariant, subject, expected::float8, actual::float8
    FROM reconcile_codes(${programId}::uuid)`;
}
