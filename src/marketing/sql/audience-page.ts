import type { Tx } from '../../kernel/db.ts';

/** What a member must be to belong to an audience; null: whatever. */
export type Audience = {
  tierIds: readonly string[] | null;
  purchasedWithinDays: number | null;
  notPurchasedForDays: number | null;
  minSpent: number | null;
  maxSpent: number | null;
  withoutCodeOfPool: boolean;
};

export type AudiencePage = { scanned: number; last: string | null; added: number };

type Of = { programId: string; campaignId: string; poolId: string; after: string; limit: number };

/**
 * Looks at the next so many members, and adds to the campaign those who belong to the audience and
 * whom it does not name yet. Days and sums are those of the advisor's segments: a purchase within n
 * days lies in (today - n, today], and what was refunded was not spent.
 */
export async function addAudiencePage(
  tx: Tx,
  { audience, ...of }: Of & { audience: Audience },
): Promise<AudiencePage> {
  const { programId, campaignId, poolId, after, limit } = of;
  const { purchasedWithinDays, notPurchasedForDays, minSpent, maxSpent } = audience;
  const bounds = [purchasedWithinDays, notPurchasedForDays, minSpent, maxSpent];
  const asksForPurchases = bounds.some((bound) => bound !== null);
  const [page] = await tx.$queryRaw<AudiencePage[]>`
    WITH page AS MATERIALIZED (
      SELECT id, tier_id FROM members
      WHERE program_id = ${programId}::uuid AND id > ${after}::uuid
      ORDER BY program_id, id LIMIT ${limit}::int),
    today AS MATERIALIZED (
      SELECT day_of(${programId}::uuid, program_now(${programId}::uuid)) AS day),
    chosen AS (
      SELECT p.id FROM page p CROSS JOIN today
      CROSS JOIN LATERAL (
        SELECT max(l.day) AS latest, coalesce(sum(l.amount - l.refunded), 0) AS spent
        FROM ledger_batches l
        WHERE ${asksForPurchases}::boolean AND l.program_id = ${programId}::uuid
          AND l.member_id = p.id AND l.order_id IS NOT NULL) bought
      WHERE (${audience.tierIds}::uuid[] IS NULL OR p.tier_id = ANY (${audience.tierIds}::uuid[]))
        AND (${purchasedWithinDays}::int IS NULL
          OR bought.latest > today.day - ${purchasedWithinDays}::int)
        AND (${notPurchasedForDays}::int IS NULL OR bought.latest IS NULL
          OR bought.latest <= today.day - ${notPurchasedForDays}::int)
        AND (${minSpent}::bigint IS NULL OR bought.spent >= ${minSpent}::bigint)
        AND (${maxSpent}::bigint IS NULL OR bought.spent <= ${maxSpent}::bigint)
        AND NOT (${audience.withoutCodeOfPool}::boolean AND EXISTS (
          SELECT FROM codes c WHERE c.program_id = ${programId}::uuid AND c.member_id = p.id
            AND ${poolId}::uuid IN (c.pool_id, c.asked_pool_id)))),
    added AS (
      INSERT INTO campaign_recipients (program_id, id, campaign_id, member_id)
      SELECT ${programId}::uuid, uuidv7(), ${campaignId}::uuid, id FROM chosen
      ORDER BY id ON CONFLICT DO NOTHING RETURNING id)
    SELECT (SELECT count(*) FROM page)::int AS scanned, (SELECT count(*) FROM added)::int AS added,
      (SELECT id::text FROM page ORDER BY page.id DESC LIMIT 1) AS last`;
  if (!page) throw new Error('a page of an audience without an answer');
  return page;
}
