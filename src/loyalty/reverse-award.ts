import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { KEY_TAKEN, retrying } from '../kernel/db.ts';
import { conflict } from '../kernel/errors.ts';
import { newId, type ProgramId, type RefundId } from '../kernel/ids.ts';
import { parse, text, whole } from '../kernel/input.ts';
import type { RefundRow } from './sql/rows.ts';
import { PURCHASES } from './types.ts';

export type Reverse = {
  programId: ProgramId;
  source: string;
  orderId: string;
  generation: number;
  refundId: string;
  /** Minor units of the purchase that are refunded. */
  amount: number;
};

export type Reversal = {
  reversed: bigint;
  debt: bigint;
  pending: boolean;
  alreadyReversed: boolean;
  memberId: string | null;
};

const refund = z.object({
  source: z.enum(PURCHASES, { error: `one of ${PURCHASES.join(', ')}` }),
  orderId: text(200),
  generation: whole(1, 1_000_000),
  refundId: text(200),
  amount: whole(1, 1_000_000_000_000),
});

type Row = RefundRow & { outcome: string; member: string | null };

/**
 * Takes back the points of a purchase that was refunded, in part or in full, wherever they are by
 * now.
 *
 * Locks: AWARD of the order, MEMBER, the lots.
 * Refusals: none; CONFLICT for more than was paid, and for a refundId used otherwise.
 * A retry returns what the first call did.
 * Events: points.reversed; none for a refund that waits for its award.
 */
export async function reverseAward(deps: Deps, args: Reverse): Promise<Reversal> {
  const { programId } = args;
  const said = parse(refund, args, 'input');
  const item = JSON.stringify({
    id: newId<RefundId>(deps),
    source: said.source,
    order_id: said.orderId,
    generation: said.generation,
    refund_id: said.refundId,
    amount: said.amount,
  });
  const rows = await retrying(
    () => deps.db.$queryRaw<Row[]>`
      SELECT outcome, member_id::text AS member, (refund_row).*
      FROM reverse_award(${programId}::uuid, ${item}::jsonb)`,
    KEY_TAKEN,
  );
  const row = rows[0] as Row;
  if (row.outcome === 'TOO_MUCH')
    throw conflict('input.amount: more than was paid and not refunded');
  if (row.outcome === 'PAYLOAD_DIFFERS')
    throw conflict('input.refundId: already used with another payload');
  return {
    reversed: row.reversed,
    debt: row.debt,
    pending: row.pending,
    alreadyReversed: row.outcome === 'REPEATED',
    memberId: row.member,
  };
}
