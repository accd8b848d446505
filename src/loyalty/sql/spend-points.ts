import type { Db } from '../../kernel/db.ts';
import type { Spend } from '../types.ts';
import { type SpendRow, toSpend } from './rows.ts';

/** One spending as the hot function takes it. */
export type SpendItem = {
  id: string;
  memberId: string;
  points: number;
  idempotencyKey: string;
  reason: string | undefined;
};

export type SpendAnswer = { outcome: string; spend: Spend | undefined };
type Row = SpendRow & { ord: number; outcome: string };

/** See prisma/functions/spend_points.sql. */
export async function spendPointsSql(
  db: Db,
  call: { programId: string; items: SpendItem[] },
): Promise<SpendAnswer[]> {
  const items = call.items.map((item, ord) => ({
    ord,
    id: item.id,
    member_id: item.memberId,
    points: item.points,
    idempotency_key: item.idempotencyKey,
    reason: item.reason,
  }));
  const rows = await db.$queryRaw<Row[]>`
    SELECT ord, outcome, (spend).*
    FROM spend_points(${call.programId}::uuid, ${JSON.stringify(items)}::jsonb)`;
  const answers: SpendAnswer[] = [];
  for (const row of rows)
    answers[row.ord] = {
      outcome: row.outcome,
      spend: row.outcome === 'SPENT' || row.outcome === 'REPEATED' ? toSpend(row) : undefined,
    };
  return answers;
}
