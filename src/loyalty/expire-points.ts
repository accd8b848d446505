import type { Deps } from '../deps.ts';
import { retrying } from '../kernel/db.ts';
import type { ProgramId } from '../kernel/ids.ts';

// A lock for each member: far below what a transaction may hold.
const PAGE = 400;

/**
 * Writes off what has expired as of the program's now, a page of members at a time, each page in a
 * transaction of its own. Answers how many members had something to write off.
 *
 * Locks: MEMBER of a page, in sorted order; the lots.
 * Refusals: none.
 * A retry finds nothing left to write off.
 * Events: points.expired.
 */
export async function expirePoints(deps: Deps, of: { programId: ProgramId }): Promise<number> {
  let changed = 0;
  for (;;) {
    const [row] = await retrying(
      () => deps.db.$queryRaw<{ members: number }[]>`
        SELECT expire_points(${of.programId}::uuid, ${PAGE}::int) AS members`,
    );
    if (!row || row.members === 0) return changed;
    changed += row.members;
  }
}
