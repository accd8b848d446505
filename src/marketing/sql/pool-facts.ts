import type { DiscountKind, PoolStatus } from '../../generated/prisma/client.ts';
import type { Db } from '../../kernel/db.ts';

export type PoolRow = {
  poolId: string;
  name: string;
  status: PoolStatus;
  discountKind: DiscountKind;
  discountValue: bigint;
  maxDiscount: bigint | null;
  minOrderAmount: bigint;
  endsAt: Date | null;
  issued: bigint;
  redeemed: bigint;
  discountGiven: bigint;
  orderRevenue: bigint;
  /** Redemptions of the period, and of the one before it. */
  recent: bigint;
  previous: bigint;
  isNew: boolean;
  /** At least so many people hold its codes, and redeemed them. */
  holders: number;
  redeemers: number;
  /** Of the whole program, the same in every row. */
  allRecent: bigint;
  inPlay: bigint;
  averageOrder: bigint | null;
  allRedeemers: number;
};

/** What JSON carries exactly: a report must not fail because codes are redeemed for absurd sums. */
export const MAX_SUM = BigInt(Number.MAX_SAFE_INTEGER);

type Of = { programId: string; days: number; most: number };

/**
 * The pools with the most redemptions first. People leave one of 64 marks each: some may share one
 * and pass for fewer, never for more, and to count them exactly would take twice as long.
 */
export const readPoolFacts = ({ db }: { db: Db }, { programId, days, most }: Of) =>
  db.$queryRaw<PoolRow[]>`
    WITH today AS MATERIALIZED (
      SELECT day_of(${programId}::uuid, program_now(${programId}::uuid)) AS day),
    period AS MATERIALIZED (
      SELECT day_start(${programId}::uuid, day - ${days - 1}::int) AS starts,
        day_start(${programId}::uuid, day - ${2 * days - 1}::int) AS before_starts FROM today),
    -- One look at each code that somebody was given; a redeemed one has one live redemption.
    given AS (
      SELECT c.pool_id, count(*) AS issued, count(r.id) AS redeemed,
        sum(r.discount_amount) AS discounts, sum(r.order_amount) AS revenue,
        count(*) FILTER (WHERE r.redeemed_at >= starts) AS recent,
        count(*) FILTER (WHERE r.redeemed_at < starts AND r.redeemed_at >= before_starts)
          AS previous,
        bit_or(mark) AS holders, bit_or(mark) FILTER (WHERE r.id IS NOT NULL) AS redeemers
      FROM codes c CROSS JOIN period
      CROSS JOIN LATERAL (SELECT 1::bigint << (coalesce(uuid_hash_extended(c.member_id, 0),
        hashtextextended(c.claim_email, 0)) & 63)::int AS mark) who
      LEFT JOIN redemptions r ON r.program_id = c.program_id AND r.code_id = c.id
        AND r.voided_at IS NULL
      WHERE c.program_id = ${programId}::uuid
        AND c.allocated_at IS NOT NULL AND c.replaced_by_id IS NULL
      GROUP BY c.pool_id)
    SELECT p.id::text AS "poolId", p.name, p.status::text, p.discount_kind::text AS "discountKind",
      p.discount_value AS "discountValue", p.max_discount AS "maxDiscount",
      p.min_order_amount AS "minOrderAmount", p.ends_at AS "endsAt",
      coalesce(g.issued, 0) AS issued, coalesce(g.redeemed, 0) AS redeemed,
      least(coalesce(g.discounts, 0), ${MAX_SUM}::bigint)::bigint
        AS "discountGiven",
      least(coalesce(g.revenue, 0), ${MAX_SUM}::bigint)::bigint
        AS "orderRevenue",
      coalesce(g.recent, 0) AS recent, coalesce(g.previous, 0) AS previous,
      p.created_at >= period.starts AS "isNew",
      bit_count(coalesce(g.holders, 0)::bit(64))::int AS holders,
      bit_count(coalesce(g.redeemers, 0)::bit(64))::int AS redeemers,
      bit_count(coalesce(bit_or(g.redeemers) OVER (), 0)::bit(64))::int AS "allRedeemers",
      coalesce(sum(g.recent) OVER (), 0)::bigint AS "allRecent",
      count(*) FILTER (WHERE g.recent + g.previous > 0) OVER () AS "inPlay",
      CASE WHEN sum(g.revenue) OVER () > 0
        THEN greatest(div(sum(g.revenue) OVER (), sum(g.redeemed) OVER ()), 1) END::bigint
        AS "averageOrder"
    FROM pools p CROSS JOIN period
    LEFT JOIN given g ON g.pool_id = p.id
    WHERE p.program_id = ${programId}::uuid
    ORDER BY coalesce(g.redeemed, 0) DESC, coalesce(g.issued, 0) DESC, p.id
    LIMIT ${most}`;
