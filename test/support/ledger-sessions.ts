/** The functions of the ledger on a raw connection, inside transactions that a test holds open. */
import type { Session } from './sessions.ts';

const AWARD = `
  SELECT outcome, (lot).points::int AS points, (lot).refunded::int AS refunded
  FROM award_points($1::uuid, $2::jsonb)`;
const SPEND = 'SELECT outcome FROM spend_points($1::uuid, $2::jsonb)';
// What grantPoints does, within the key of the grant.
const LOCK = 'SELECT lock_member($1::uuid, $2::uuid)';
const GRANT = `
  SELECT (earn_points(p, jsonb_populate_record(NULL::ledger_batches,
    $2::jsonb || jsonb_build_object('earned_at', program_now(p.id))), program_now(p.id))).id
  FROM programs p WHERE p.id = $1::uuid`;
const REVERSE = `
  SELECT outcome, (refund_row).reversed::int AS reversed, (refund_row).debt::int AS debt
  FROM reverse_award($1::uuid, $2::jsonb)`;

const SWEEP = `
  SELECT expire_points($1::uuid, day_of($1::uuid, program_now($1::uuid)), $2::uuid[]) AS changed`;

type Awarded = { outcome: string; points: number | null; refunded: number | null };
type Reversed = { outcome: string; reversed: number | null; debt: number | null };

/** Each answers with what its function says about the one item, AGAIN included. */
export function ledgerOn(session: Session, programId: string) {
  const one = async <Row extends object>(sql: string, values: unknown[]): Promise<Row> => {
    const [row] = await session.query<Row & Record<string, unknown>>(sql, [programId, ...values]);
    if (!row) throw new Error('a function of the ledger left an item unanswered');
    return row;
  };
  return {
    award: (memberId: string, orderId: string, amount: number) => {
      const lot = { id: crypto.randomUUID(), member_id: memberId, order_id: orderId, amount };
      const item = { ord: 0, tracked: true, source: 'SHOPIFY', generation: 1, ...lot };
      return one<Awarded>(AWARD, [JSON.stringify([item])]);
    },
    spend: async (memberId: string, points: number, key: string = crypto.randomUUID()) => {
      const spend = { id: crypto.randomUUID(), member_id: memberId, points, idempotency_key: key };
      return (await one<{ outcome: string }>(SPEND, [JSON.stringify([{ ord: 0, ...spend }])]))
        .outcome;
    },
    grant: async (memberId: string, points: number) => {
      const lot = { id: crypto.randomUUID(), member_id: memberId, source: 'MANUAL', generation: 1 };
      await one(LOCK, [memberId]);
      await one(GRANT, [JSON.stringify({ ...lot, requested: points, points, reason: 'a gift' })]);
    },
    reverse: (orderId: string, amount: number, refundId: string = crypto.randomUUID()) => {
      const refund = { id: crypto.randomUUID(), order_id: orderId, refund_id: refundId, amount };
      const item = { source: 'SHOPIFY', generation: 1, ...refund };
      return one<Reversed>(REVERSE, [JSON.stringify(item)]);
    },
    refund: async (spendId: string, points: number) =>
      (
        await one<{ outcome: string }>(
          'SELECT refund_spend($1::uuid, $2::uuid, $3::bigint) AS outcome',
          [spendId, points],
        )
      ).outcome,
    /** As of the start of today; answers for how many of them something had expired. */
    sweep: async (members: readonly string[]) =>
      (await one<{ changed: number }>(SWEEP, [members])).changed,
  };
}

export type LedgerSession = ReturnType<typeof ledgerOn>;
