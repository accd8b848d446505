/** The facts of a small shop in which everything has happened that they must see through. */
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';
import { revokeCode, revokeCodes, voidRedemption } from '../../src/coupons/index.ts';
import type { CampaignId, CodeId, MemberId, RedemptionId } from '../../src/kernel/ids.ts';
import { awardPoints, reverseAward } from '../../src/loyalty/index.ts';
import { couponFacts } from '../../src/marketing/kept-facts.ts';
import { testDeps } from '../support/database.ts';
import { aCampaign, issue } from '../support/recipients.ts';
import { after, openShop } from '../support/shop.ts';

const deps = await testDeps({ clock: { now: () => after(0) } });
const shop = await openShop(deps);
const { programId } = shop;
const sql = new pg.Client({ connectionString: deps.config.databaseUrl });
await sql.connect();
afterAll(() => sql.end());

const reserve = await shop.pool(2, { name: 'Reserve', discountKind: 'AMOUNT', discountValue: 300 });
const fallback = { exhaustion: 'FALLBACK', fallbackPoolId: reserve.id } as const;
const main = await shop.pool(8, { name: 'Main', ...fallback });
const campaign = await shop.pool(6, { name: 'Campaign', discountKind: 'GIFT', discountValue: 0 });

const claim = (name: string) => shop.claimed(main.id, { email: `${name}@example.com` });
const take = async (redemptionId: string) =>
  voidRedemption(deps, { programId, redemptionId: redemptionId as RedemptionId, reason: 'test' });

/** Eight codes of the main pool are given, two more of those who asked it come from the reserve. */
async function sell(): Promise<void> {
  const spend = async (name: string, orderAmount: number) => {
    const { code, plaintext } = await claim(name);
    const { redemption } = await shop.redeemed(plaintext, `of-${name}`, { orderAmount });
    return { code, plaintext, redemption };
  };
  await spend('spent', 5_005);
  const wrong = await spend('voided', 90_000);
  await take(wrong.redemption.id);
  const twice = await spend('again', 80_000);
  await take(twice.redemption.id);
  await shop.redeemed(twice.plaintext, 'of-again-2', { orderAmount: 7_007 });
  const lost = await spend('lost', 70_000);
  await take(lost.redemption.id);
  await revokeCode(deps, { programId, codeId: lost.code.id as CodeId, reason: 'test' });
  for (const name of ['e', 'f', 'g', 'h']) await claim(name);
  const beyond = await spend('beyond', 2_000);
  expect(beyond.code.poolId).toBe(reserve.id);
  await claim('further');
}

/**
 * Three are issued codes, and one spends it. All are withdrawn then: one that was seen is replaced,
 * and one that was not goes back to the pool.
 */
async function replace() {
  const names = ['spender', 'seer', 'sleeper'].map((name) => `${name}@example.com`);
  const { campaignId, recipients } = await aCampaign(deps, {
    ...{ programId, poolId: campaign.id },
    recipients: names.map((email) => ({ email })),
  });
  const poolId = campaign.id;
  for (const recipientId of recipients) await issue(deps, { programId, poolId, recipientId });
  const [spender, seer] = names as [string, string];
  const { plaintext } = await shop.claimed(poolId, { email: spender });
  await shop.redeemed(plaintext, 'of-spender', { orderAmount: 3_000 });
  await shop.claimed(poolId, { email: seer });
  return revokeCodes(deps, {
    ...{ programId, campaignId: campaignId as CampaignId, replace: true },
    ...{ reason: 'test', idempotencyKey: 'replace' },
  });
}

async function buy(): Promise<void> {
  const award = async (memberId: MemberId, [orderId, amount]: [string, number]) => {
    const purchase = { programId, memberId, orderId, amount, generation: 1 };
    const done = await awardPoints(deps, { ...purchase, source: 'SHOPIFY' });
    if (!done.ok) throw new Error(done.reason);
  };
  const refund = (orderId: string, amount: number) =>
    reverseAward(deps, {
      ...{ programId, source: 'SHOPIFY', generation: 1, refundId: `r-${orderId}` },
      ...{ orderId, amount },
    });
  const [loyal, half, none] = [await shop.member(), await shop.member(), await shop.member()];
  for (const n of [1, 2, 3, 4]) await award(loyal.id, [`l-${n}`, 1_000]);
  await award(half.id, ['h-1', 900]);
  await refund('h-1', 400);
  await award(none.id, ['n-1', 5_000]);
  await refund('n-1', 5_000);
  await shop.member();
}

await sell();
const withdrawn = await replace();
await buy();

test('what was given and redeemed in the end counts, in the pool whose code it is', async () => {
  expect(withdrawn).toMatchObject({ recycled: 1, replaced: 1 });
  const { pools } = await couponFacts(deps, { programId });
  const told = pools.map(({ name, issued, redeemed, discountGiven, orderRevenue }) => [
    name,
    { issued, redeemed, discountGiven, orderRevenue },
  ]);
  // By name: two of them did the same, and made in one instant, either may be the first.
  expect(Object.fromEntries(told)).toEqual({
    // 500.5 and 700.7, each rounded down.
    Main: { issued: 8, redeemed: 2, discountGiven: 1_200, orderRevenue: 12_012 },
    Reserve: { issued: 2, redeemed: 1, discountGiven: 300, orderRevenue: 2_000 },
    Campaign: { issued: 2, redeemed: 1, discountGiven: 0, orderRevenue: 3_000 },
  });
});

test('the same comes out by way of the claims, one pool after another', async () => {
  const { pools } = await couponFacts(deps, { programId });
  for (const { poolId, ...facts } of pools) {
    const { rows } = await sql.query(
      `SELECT
         (SELECT count(DISTINCT l.code_id)::int FROM claims l WHERE l.program_id = $1
            AND (SELECT c.pool_id FROM codes c WHERE c.id = l.code_id) = $2) AS issued,
         (SELECT count(*)::int FROM codes WHERE pool_id = $2 AND status = 'REDEEMED') AS redeemed,
         count(*)::int AS live, coalesce(sum(r.discount_amount), 0)::int AS discounts,
         coalesce(sum(r.order_amount), 0)::int AS revenue
       FROM redemptions r WHERE r.program_id = $1 AND r.voided_at IS NULL
         AND r.code_id IN (SELECT id FROM codes WHERE pool_id = $2)`,
      [programId, poolId],
    );
    const { issued, redeemed, discountGiven, orderRevenue } = facts;
    expect(rows).toEqual([
      { issued, redeemed, live: redeemed, discounts: discountGiven, revenue: orderRevenue },
    ]);
  }
});

test('the sums of audiences and the average order are those of the journal, less refunds', async () => {
  const { segments, averageOrder } = await couponFacts(deps, { programId });
  const told = segments.map(({ name, members, revenue }) => [name, members, revenue]);
  // 4,500 of 6 purchases are 750: less than 17,012 of the 4 orders that took a code.
  expect(averageOrder).toBe(750);
  expect(told).toEqual([
    ['Everyone', 4, 4_500],
    ['Member, active, high spend', 1, 4_000],
    ['Member, active, low spend', 1, 500],
    ['Member, never bought', 2, 0],
  ]);
  const { rows } = await sql.query(
    `SELECT count(*)::int AS members, sum(spent)::int AS spent, sum(orders)::int AS orders
     FROM members m, LATERAL (
       SELECT coalesce(sum(amount) - sum(refunded), 0) AS spent, count(*) AS orders
       FROM ledger_batches l WHERE l.member_id = m.id AND l.order_id IS NOT NULL) l
     WHERE m.program_id = $1`,
    [programId],
  );
  expect(rows).toEqual([{ members: 4, spent: 4_500, orders: 6 }]);
});
