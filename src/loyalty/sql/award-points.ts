import type { Db } from '../../kernel/db.ts';
import type { LedgerBatch, PurchaseSource } from '../types.ts';
import { type LotRow, toLot } from './rows.ts';

/** One purchase as the hot function takes it. */
export type AwardItem = {
  id: string;
  memberId: string;
  source: PurchaseSource;
  orderId: string;
  generation: number;
  /** Minor units. */
  amount: number;
  /** Undefined: just now. */
  occurredAt: Date | undefined;
  /** Whether the tracker of the daily cap answered. */
  tracked: boolean;
};

export type AwardAnswer = {
  outcome: string;
  lot: LedgerBatch | undefined;
  /** What the ledger counts for that day after this award; null where no cap was measured. */
  dayTotal: bigint | null;
};

type Row = LotRow & { ord: number; outcome: string; day_total: bigint | null };

/** See prisma/functions/award_points.sql. */
export async function awardPointsSql(
  db: Db,
  call: { programId: string; items: AwardItem[] },
): Promise<AwardAnswer[]> {
  const items = call.items.map((item, ord) => ({
    ord,
    tracked: item.tracked,
    id: item.id,
    member_id: item.memberId,
    source: item.source,
    order_id: item.orderId,
    generation: item.generation,
    amount: item.amount,
    earned_at: item.occurredAt,
  }));
  const rows = await db.$queryRaw<Row[]>`
    SELECT ord, outcome, day_total, (lot).*
    FROM award_points(${call.programId}::uuid, ${JSON.stringify(items)}::jsonb)`;
  const answers: AwardAnswer[] = [];
  for (const row of rows)
    answers[row.ord] = {
      outcome: row.outcome,
      lot: row.outcome === 'AWARDED' || row.outcome === 'REPEATED' ? toLot(row) : undefined,
      dayTotal: row.day_total,
    };
  return answers;
}
