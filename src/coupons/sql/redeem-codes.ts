import type { Db } from '../../kernel/db.ts';
import type { Code, Redemption } from '../types.ts';
import { type CodeRow, type RedemptionRow, toCode, toRedemption } from './code-row.ts';

/** One redemption as the hot function takes it. */
export type RedeemItem = {
  /** Of the code's canonical form under every look-up key, in hex. */
  hashes: string[];
  orderId: string;
  orderAmount: number;
  redemptionId: string;
  callerId: string | undefined;
  ownerId: string | undefined;
};

export type RedeemAnswer = {
  outcome: string;
  done: { code: Code; redemption: Redemption } | undefined;
};

type Row = CodeRow & RedemptionRow & { ord: number; outcome: string };

/** See prisma/functions/redeem_codes.sql. */
export async function redeemCodesSql(
  db: Db,
  call: { programId: string; items: RedeemItem[] },
): Promise<RedeemAnswer[]> {
  const items = call.items.map((item, ord) => ({
    ord,
    hashes: item.hashes,
    order_id: item.orderId,
    order_amount: item.orderAmount,
    redemption_id: item.redemptionId,
    caller_id: item.callerId,
    owner_id: item.ownerId,
  }));
  const rows = await db.$queryRaw<Row[]>`
    SELECT ord, outcome, (code).*, (redemption).id AS redemption_id, (redemption).order_id,
      (redemption).order_amount, (redemption).discount_amount, (redemption).stackable,
      (redemption).redeemed_at AS redemption_at
    FROM redeem_codes(${call.programId}::uuid, ${JSON.stringify(items)}::jsonb)`;
  const answers: RedeemAnswer[] = [];
  for (const row of rows) answers[row.ord] = { outcome: row.outcome, done: toDone(row) };
  return answers;
}

function toDone(row: Row): RedeemAnswer['done'] {
  if (!row.redemption_id) return undefined;
  const code = toCode(row);
  return { code, redemption: toRedemption(row, code) };
}
