import type { Db } from '../../kernel/db.ts';
import type { Recency, Spending } from '../types.ts';
import { MAX_SUM } from './pool-facts.ts';

export type SegmentRow = {
  tierId: string;
  recency: Recency;
  spending: Spending | null;
  members: bigint;
  revenue: bigint;
  /** Of all purchases, the same in every row. */
  averageOrder: bigint | null;
};

type Of = { programId: string; inactiveDays: number; cuts: { medium: number; high: number } };

/**
 * Every audience that is not empty: tier, days since the last purchase, and money spent, in
 * multiples of the average purchase. Those with the most revenue first.
 */
export const readSegmentFacts = ({ db }: { db: Db }, { programId, inactiveDays, cuts }: Of) =>
  db.$queryRaw<SegmentRow[]>`
    WITH today AS MATERIALIZED (
      SELECT day_of(${programId}::uuid, program_now(${programId}::uuid)) AS day),
    bought AS MATERIALIZED (
      SELECT member_id, max(day) AS latest, count(*) AS purchases,
        sum(amount - refunded)::bigint AS spent
      FROM ledger_batches WHERE program_id = ${programId}::uuid AND order_id IS NOT NULL
      GROUP BY member_id),
    usual AS MATERIALIZED (
      SELECT CASE WHEN sum(spent) > 0
        THEN greatest(div(sum(spent), sum(purchases)), 1) END::bigint AS purchase FROM bought),
    banded AS (
      SELECT m.tier_id, coalesce(b.spent, 0) AS spent,
        CASE WHEN coalesce(b.spent, 0) = 0 THEN 'NEVER'
          WHEN b.latest > today.day - ${inactiveDays}::int THEN 'ACTIVE'
          WHEN b.latest > today.day - 2 * ${inactiveDays}::int THEN 'LAPSING'
          ELSE 'LAPSED' END AS recency,
        CASE WHEN coalesce(b.spent, 0) = 0 THEN NULL
          WHEN b.spent < ${cuts.medium} * usual.purchase THEN 'LOW'
          WHEN b.spent < ${cuts.high} * usual.purchase THEN 'MEDIUM'
          ELSE 'HIGH' END AS spending
      FROM members m CROSS JOIN today CROSS JOIN usual
      LEFT JOIN bought b ON b.member_id = m.id
      WHERE m.program_id = ${programId}::uuid),
    audiences AS (
      SELECT tier_id, recency, spending, count(*) AS members, sum(spent) AS revenue
      FROM banded GROUP BY tier_id, recency, spending)
    SELECT tier_id::text AS "tierId", recency, spending, members,
      least(revenue, ${MAX_SUM}::bigint)::bigint AS revenue, purchase AS "averageOrder"
    FROM audiences a CROSS JOIN usual
    JOIN tiers t ON t.program_id = ${programId}::uuid AND t.id = a.tier_id
    ORDER BY a.revenue DESC, members DESC, t.rank DESC, recency, spending`;
