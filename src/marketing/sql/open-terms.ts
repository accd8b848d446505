import type { Db } from '../../kernel/db.ts';
import type { Terms } from '../types.ts';

/** What the pools offer that can still be claimed or opened: all of them, each offer once. */
export async function readOpenTerms(
  { db }: { db: Db },
  { programId }: { programId: string },
): Promise<Terms[]> {
  const rows = await db.$queryRaw<
    { kind: Terms['discountKind']; value: bigint; smallest: bigint }[]
  >`
    SELECT DISTINCT discount_kind::text AS kind, discount_value AS value,
      min_order_amount AS smallest
    FROM pools WHERE program_id = ${programId}::uuid AND status <> 'ARCHIVED'
      AND (ends_at IS NULL OR ends_at > (SELECT program_now(${programId}::uuid)))`;
  return rows.map(({ kind, value, smallest }) => ({
    discountKind: kind,
    discountValue: Number(value),
    minOrderAmount: Number(smallest),
  }));
}
