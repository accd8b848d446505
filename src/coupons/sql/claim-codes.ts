import type { Db } from '../../kernel/db.ts';
import type { Code } from '../types.ts';
import { type CodeRow, toCode } from './code-row.ts';

/** One claimant's request as the hot function takes it. */
export type ClaimItem = {
  poolId: string;
  memberId: string | undefined;
  /** Normalised. */
  email: string | undefined;
  recipientId: string | undefined;
  claimKey: string;
  /** Who is given the text; undefined: nobody yet, the code is only issued. */
  actor: string | undefined;
};

export type ClaimAnswer = { outcome: string; topUpPoolId: string | null; code: Code | undefined };

type Row = CodeRow & { ord: number; outcome: string; top_up_pool_id: string | null };

/** See prisma/functions/claim_codes.sql. `after`: by pool, the code that was taken last. */
export async function claimCodesSql(
  db: Db,
  call: { programId: string; items: ClaimItem[]; after: Record<string, string> },
): Promise<ClaimAnswer[]> {
  const items = call.items.map((item, ord) => ({
    ord,
    pool_id: item.poolId,
    member_id: item.memberId,
    email: item.email,
    recipient_id: item.recipientId,
    claim_key: item.claimKey,
    actor: item.actor,
  }));
  const rows = await db.$queryRaw<Row[]>`
    SELECT ord, outcome, top_up_pool_id, (code).*
    FROM claim_codes(${call.programId}::uuid, ${JSON.stringify(items)}::jsonb,
      ${JSON.stringify(call.after)}::jsonb)`;
  const answers: ClaimAnswer[] = [];
  for (const row of rows)
    answers[row.ord] = {
      outcome: row.outcome,
      topUpPoolId: row.top_up_pool_id,
      code: row.id ? toCode(row) : undefined,
    };
  return answers;
}
