import { expect, test } from 'vitest';
import { type Claimed, type Refused, revokeCode, voidRedemption } from '../../src/coupons/index.ts';
import type { CodeId, MemberId, PoolId, RedemptionId } from '../../src/kernel/ids.ts';
import { awardPoints, reverseAward } from '../../src/loyalty/index.ts';
import { couponAdvisor } from '../../src/marketing/index.ts';
import { couponFacts } from '../../src/marketing/kept-facts.ts';
import { advanceClock, setTiers } from '../../src/programs/index.ts';
import { testDeps } from '../support/database.ts';
import { aProgram } from '../support/factories.ts';
import { after, openShop } from '../support/shop.ts';

const DAY = 86_400_000;
// A clock that stands still: nothing takes long, so no facts are kept for the next question.
const deps = await testDeps({ clock: { now: () => after(0) } });

const given = (answer: Claimed | Refused): Claimed => {
  if (!answer.ok) throw new Error(answer.reason);
  return answer;
};

type Shop = Awaited<ReturnType<typeof openShop>>;

/** So many guests claim, and each spends the code on an order of this amount. */
async function redeem(shop: Shop, of: { poolId: string; orders: number[]; name: string }) {
  for (const [i, orderAmount] of of.orders.entries()) {
    const { plaintext } = given(
      await shop.claim(of.poolId, { email: `${of.name}${i}@example.com` }),
    );
    await shop.redeemed(plaintext, `${of.name}-${i}`, { orderAmount });
  }
}

test('a pool’s facts count what was given and what is redeemed, through voids and revocations', async () => {
  const shop = await openShop(deps);
  const { programId } = shop;
  const pool = await shop.pool(10);
  const codes = await Promise.all(
    ['a', 'b', 'c', 'd'].map((name) => shop.claimed(pool.id, { email: `${name}@example.com` })),
  );
  const [a, b, c] = codes as [Claimed, Claimed, Claimed];
  await shop.redeemed(a.plaintext, 'o-1', { orderAmount: 10_001 });
  const { redemption } = await shop.redeemed(b.plaintext, 'o-2', { orderAmount: 7_000 });
  await voidRedemption(deps, {
    programId,
    redemptionId: redemption.id as RedemptionId,
    reason: 'x',
  });
  await revokeCode(deps, { programId, codeId: c.code.id as CodeId, reason: 'lost' });
  const free = await deps.db.code.findFirstOrThrow({
    where: { programId, status: 'AVAILABLE' },
  });
  await revokeCode(deps, { programId, codeId: free.id as CodeId, reason: 'never given' });
  const { pools, averageOrder } = await couponFacts(deps, { programId });
  expect(pools).toHaveLength(1);
  expect(pools[0]).toMatchObject({
    poolId: pool.id,
    issued: 4,
    redeemed: 1,
    redemptionRate: 2_500,
    discountGiven: 1_000,
    orderRevenue: 10_001,
    marginImpact: 999,
    share: 10_000,
    growth: 10_000,
    quadrant: 'STAR',
  });
  expect(averageOrder).toBe(10_001);
});

test('the quadrants compare the last 30 local days with the 30 before', async () => {
  const shop = await openShop(deps);
  const { programId } = shop;
  const big = await shop.pool(20, { name: 'big', stackable: true });
  const small = await shop.pool(20, { name: 'small', stackable: true });
  await redeem(shop, { poolId: big.id, orders: [1, 2, 3, 4], name: 'old' });
  await redeem(shop, { poolId: small.id, orders: [5], name: 'older' });
  const at = async (day: number) => {
    await advanceClock(deps, { programId, to: after(day * DAY) });
    const { pools, cuts } = await couponFacts(deps, { programId });
    const placed = pools.map(({ name, share, growth, quadrant }) => [
      name,
      share,
      growth,
      quadrant,
    ]);
    return [...placed, cuts.share];
  };
  // The first day is still the thirtieth of the period: everything is new.
  expect(await at(29)).toEqual([
    ['big', 8_000, 40_000, 'STAR'],
    ['small', 2_000, 10_000, 'QUESTION_MARK'],
    5_000,
  ]);
  // One day on it has moved into the period before, and nothing has come since.
  expect(await at(30)).toEqual([['big', 0, -10_000, 'DOG'], ['small', 0, -10_000, 'DOG'], 5_000]);
  await redeem(shop, { poolId: big.id, orders: [1, 2, 3], name: 'new' });
  await redeem(shop, { poolId: small.id, orders: [1, 2], name: 'newer' });
  expect(await at(31)).toEqual([
    ['big', 6_000, -2_500, 'CASH_COW'],
    ['small', 4_000, 10_000, 'QUESTION_MARK'],
    5_000,
  ]);
  // By day 60 the first day counts in neither period, and what came on day 30 in the one before.
  expect(await at(60)).toEqual([['big', 0, -10_000, 'DOG'], ['small', 0, -10_000, 'DOG'], 5_000]);
  expect(await at(90)).toEqual([['big', 0, 0, 'DOG'], ['small', 0, 0, 'DOG'], 10_000]);
});

test('segments are tier, days since the last purchase, and spending in average purchases', async () => {
  const shop = await openShop(deps);
  const { programId } = shop;
  const buy = async (memberId: string, [orderId, amount]: [string, number]) => {
    const award = { programId, memberId: memberId as never, orderId, amount, generation: 1 };
    const done = await awardPoints(deps, { ...award, source: 'SHOPIFY' });
    if (!done.ok) throw new Error(done.reason);
  };
  const [gone, away, here, refunded] = await Promise.all([1, 2, 3, 4].map(() => shop.member()));
  await shop.member();
  for (const [member, rank] of [
    [away, 2],
    [here, 3],
  ] as const) {
    const tier = await deps.db.tier.findFirstOrThrow({ where: { programId, rank } });
    const id = member?.id as string;
    await deps.db.member.updateMany({ where: { programId, id }, data: { tierId: tier.id } });
  }
  await buy(gone?.id as string, ['p-1', 100]);
  await advanceClock(deps, { programId, to: after(90 * DAY) });
  await buy(away?.id as string, ['p-2', 1_000]);
  await advanceClock(deps, { programId, to: after(180 * DAY) });
  await buy(here?.id as string, ['p-3', 6_000]);
  for (const n of [4, 5, 6]) await buy(here?.id as string, [`p-${n}`, 100]);
  await buy(refunded?.id as string, ['p-7', 900]);
  await reverseAward(deps, {
    programId,
    source: 'SHOPIFY',
    orderId: 'p-7',
    generation: 1,
    refundId: 'r-1',
    amount: 900,
  });
  const { segments, averageOrder } = await couponFacts(deps, { programId });
  // 7,400 of 7 purchases.
  expect(averageOrder).toBe(1_057);
  const shown = segments.map(({ name, members, revenue }) => [name, members, revenue]);
  expect(shown).toEqual([
    ['Everyone', 5, 7_400],
    ['Gold, active, high spend', 1, 6_300],
    ['Silver, lapsing, low spend', 1, 1_000],
    ['Member, lapsed, low spend', 1, 100],
    ['Member, never bought', 2, 0],
  ]);
  const bounds = segments.map((one) => [
    one.purchasedWithinDays,
    one.notPurchasedForDays,
    one.minSpent,
    one.maxSpent,
  ]);
  expect(bounds).toEqual([
    [null, null, null, null],
    [90, null, 5_285, null],
    [180, 90, 1, 2_113],
    [null, 180, 1, 2_113],
    [null, null, null, 0],
  ]);
});

test('segments have names of their own, in plain text, whatever the tiers are called', async () => {
  const { programId } = await aProgram(deps);
  const names = ['Gold', '<b>Gold</b>', 'Gold\u200b', 'https://evil.example', 'Everyone'];
  const rung = { maintainPoints: 0, multiplier: 10_000 };
  await setTiers(deps, {
    programId,
    tiers: names.map((name, i) => ({ ...rung, name, qualifyPoints: i * 100 })),
  });
  const tiers = await deps.db.tier.findMany({ where: { programId }, orderBy: { rank: 'asc' } });
  await deps.db.member.createMany({
    data: tiers.map(({ id }, i) => ({
      programId,
      id: `00000000-0000-7000-8000-00000000000${i}`,
      externalId: `m-${i}`,
      emailVerified: false,
      tierId: id,
      createdAt: after(0),
    })),
  });
  const { segments } = await couponFacts(deps, { programId });
  expect(segments.map(({ name }) => name)).toEqual([
    'Everyone',
    'Tier 5 Everyone, never bought',
    'Tier 4, never bought',
    'Tier 3 Gold, never bought',
    'Tier 2 Gold, never bought',
    'Tier 1 Gold, never bought',
  ]);
});

/** On each tier one member of each recency and spending, and one who never bought. */
async function aCrowd() {
  const shop = await openShop(deps);
  const { programId } = shop;
  const tiers = await deps.db.tier.findMany({ where: { programId }, orderBy: { rank: 'asc' } });
  const member = async (tierId: string) => {
    const { id } = await shop.member();
    await deps.db.member.updateMany({ where: { programId, id }, data: { tierId } });
    return id as MemberId;
  };
  const buy = async (memberId: MemberId, orderId: string) => {
    const award = { programId, memberId, amount: 100, orderId, generation: 1 };
    const done = await awardPoints(deps, { ...award, source: 'SHOPIFY' });
    if (!done.ok) throw new Error(done.reason);
  };
  for (const daysAgo of [200, 100, 0]) {
    await advanceClock(deps, { programId, to: after((200 - daysAgo) * DAY) });
    // Of the average purchase: once, three times and six times as much.
    for (const { id, rank } of tiers)
      for (const orders of [1, 3, 6]) {
        const memberId = await member(id);
        const names = Array.from({ length: orders }, (_, i) => `${daysAgo} ${rank} ${orders} ${i}`);
        await Promise.all(names.map((orderId) => buy(memberId, orderId)));
      }
  }
  for (const { id } of tiers) await member(id);
  return programId;
}

test('of more than thirty audiences, the largest of each recency and spending are shown', async () => {
  const programId = await aCrowd();
  const { segments } = await couponFacts(deps, { programId });
  expect(segments).toHaveLength(31);
  const kinds = new Set(segments.slice(1).map(({ recency, spending }) => `${recency} ${spending}`));
  expect(kinds.size).toBe(10);
  const revenues = segments.slice(1).map(({ revenue }) => revenue);
  expect(revenues).toEqual(revenues.toSorted((a, b) => b - a));
  const { suggestions } = await couponAdvisor(deps, { programId });
  expect(suggestions.map(({ title }) => title)).toContain('Bring members to their first order');
  // Alike in all but their tier, recency and spending: in one order, the higher tier first.
  const bySpending = (of: string) =>
    segments.filter(({ spending }) => spending === of).map(({ name }) => name);
  expect(bySpending('HIGH').slice(0, 4)).toEqual([
    'VIP, active, high spend',
    'VIP, lapsed, high spend',
    'VIP, lapsing, high spend',
    'Gold, active, high spend',
  ]);
  expect(bySpending('HIGH')).toHaveLength(12);
});

test('an empty program has facts too: everyone, who is nobody', async () => {
  const { programId } = await aProgram(deps);
  const facts = await couponFacts(deps, { programId });
  expect(facts).toMatchObject({ averageOrder: null, pools: [], asOf: after(0) });
  expect(facts.cuts).toEqual({ days: 30, share: 10_000, growth: 1_000 });
  expect(facts.segments.map(({ name, members }) => [name, members])).toEqual([['Everyone', 0]]);
});

test('absurd amounts make the sums stop, not fail', async () => {
  const shop = await openShop(deps);
  const pool = await shop.pool(3);
  const orders = [1, 2, 3].map(() => Number.MAX_SAFE_INTEGER);
  await redeem(shop, { poolId: pool.id, orders, name: 'rich' });
  const { pools, averageOrder } = await couponFacts(deps, { programId: shop.programId });
  expect(pools[0]?.orderRevenue).toBe(Number.MAX_SAFE_INTEGER);
  expect(averageOrder).toBe(Number.MAX_SAFE_INTEGER);
});

test('facts are those of the program that asks', async () => {
  const [one, other] = [await openShop(deps), await openShop(deps)];
  const pool = await one.pool(2);
  await redeem(one, { poolId: pool.id, orders: [500], name: 'mine' });
  const facts = await couponFacts(deps, { programId: other.programId });
  expect(facts.pools).toEqual([]);
  expect(facts.averageOrder).toBeNull();
});

/** Deps whose clock moves by so much each time it is looked at: as if everything took that long. */
function slowDeps(stepMs: number) {
  let now = after(0).getTime();
  const clock = {
    now: () => {
      now += stepMs;
      return new Date(now);
    },
  };
  return { ...deps, clock };
}

test('facts that took long are kept for a while, and quick ones are read anew', async () => {
  const shop = await openShop(deps);
  const { programId } = shop;
  await shop.pool(1);
  const count = async (of: typeof deps) => (await couponFacts(of, { programId })).pools.length;
  const slow = slowDeps(1_500);
  expect(await count(slow)).toBe(1);
  await shop.pool(1);
  expect(await count(slow)).toBe(1);
  // Thirty seconds for one and a half: each look at this clock takes as long.
  for (let i = 0; i < 20; i++) slow.clock.now();
  expect(await count(slow)).toBe(2);
  const later = { ...deps, clock: { now: () => after(3_600_000) } };
  await shop.pool(1);
  expect(await count(later)).toBe(3);
  await shop.pool(1);
  expect(await count(later)).toBe(4);
});

test('the facts that are kept of two programs are each its own', async () => {
  const slow = slowDeps(1_500);
  const shops = [await openShop(deps), await openShop(deps)];
  const names = async () =>
    Promise.all(
      shops.map(async ({ programId }) => {
        const { pools } = await couponFacts(slow, { programId });
        return pools.map(({ name }) => name);
      }),
    );
  for (const [i, shop] of shops.entries()) await shop.pool(1, { name: `Pool of shop ${i}` });
  const own = [['Pool of shop 0'], ['Pool of shop 1']];
  expect(await names()).toEqual(own);
  // They are kept: a second pool is not seen yet.
  for (const shop of shops) await shop.pool(1, { name: 'Later' });
  expect(await names()).toEqual(own);
});

test('pools that did the same come in one order, each time', async () => {
  const shop = await openShop(deps);
  const { programId } = shop;
  const { id } = await shop.draft(1);
  const { id: _, ...like } = await deps.db.pool.findUniqueOrThrow({
    where: { programId_id: { programId, id: id as PoolId } },
  });
  const ids = [7, 3, 9, 1, 5].map((n) => `00000000-0000-7000-8000-00000000000${n}`);
  for (const one of ids) await deps.db.pool.create({ data: { ...like, id: one } });
  await deps.db.pool.updateMany({
    where: { programId, id: ids[1] as string },
    data: { name: 'x' },
  });
  const { pools } = await couponFacts(deps, { programId });
  expect(pools.map(({ poolId }) => poolId)).toEqual([...ids.toSorted(), id]);
});

test('whoever asks while the facts are being read shares the reading; a failure is not kept', async () => {
  const shop = await openShop(deps);
  const { programId } = shop;
  const [one, other] = await Promise.all([
    couponFacts(deps, { programId }),
    couponFacts(deps, { programId }),
  ]);
  expect(one).toBe(other);
  const nowhere = '01890000-0000-7000-8000-00000000dead' as typeof programId;
  const failing = () => couponFacts(slowDeps(5_000), { programId: nowhere });
  await expect(failing()).rejects.toThrow('no such program');
  await expect(failing()).rejects.toThrow('no such program');
});

test('a thousand pools are shown, and all of them count', async () => {
  const shop = await openShop(deps);
  const { programId } = shop;
  const first = await shop.pool(1);
  await redeem(shop, { poolId: first.id, orders: [700], name: 'first' });
  const { id: _, ...like } = await deps.db.pool.findUniqueOrThrow({
    where: { programId_id: { programId, id: first.id as PoolId } },
  });
  await deps.db.pool.createMany({
    data: Array.from({ length: 1_001 }, (_, i) => ({
      ...like,
      id: `00000000-0000-7000-8000-${String(i).padStart(12, '0')}`,
      status: 'DRAFT' as const,
    })),
  });
  const { pools } = await couponFacts(deps, { programId });
  expect(pools).toHaveLength(1_000);
  expect(pools[0]).toMatchObject({ poolId: first.id, redeemed: 1, share: 10_000 });
});
