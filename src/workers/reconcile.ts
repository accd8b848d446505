import { countCodes, reconcileCodes } from '../coupons/index.ts';
import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { type Difference, reconcilePoints } from '../loyalty/index.ts';

export type Reconciliation = {
  members: number;
  batches: number;
  codes: number;
  differences: Difference[];
};

/** Each room's own checks. */
const checks = [reconcilePoints, reconcileCodes];

/** Every invariant of a program, checked now, in one snapshot each; repairs nothing by itself. */
export async function reconcile(
  deps: Pick<Deps, 'db'>,
  { programId }: { programId: ProgramId },
): Promise<Reconciliation> {
  const where = { programId };
  const [members, batches, codes, ...found] = await Promise.all([
    deps.db.member.count({ where }),
    deps.db.ledgerBatch.count({ where }),
    countCodes(deps, { programId }),
    ...checks.map((check) => check(deps, { programId })),
  ]);
  return { members, batches, codes, differences: found.flat() };
}
