/** What an award makes of a tier, at once. */
import { describe, expect, test } from 'vitest';
import { testDeps } from '../support/database.ts';
import { DAY } from '../support/ledger.ts';
import { ladder, openTiers, RUNGS } from '../support/tiers.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const shop = await openTiers(deps);

describe('a threshold is inclusive', () => {
  test.each(
    RUNGS.slice(1).flatMap(([qualify], index) => [
      [qualify - 1, index + 1],
      [qualify, index + 2],
      [qualify + 1, index + 2],
    ]),
  )('%i points in one purchase: rank %i', async (points, rank) => {
    const member = await shop.member();
    await shop.lot(member, points);
    expect([await shop.earned(member), await shop.rank(member)]).toEqual([points, rank]);
  });

  test.each(
    RUNGS.slice(1).flatMap(([qualify], index) => [
      [qualify - 2, 1, index + 1],
      [qualify - 1, 1, index + 2],
      [qualify, 1, index + 2],
    ]),
  )('%i points and then %i more: rank %i', async (before, more, rank) => {
    const member = await shop.member();
    await shop.lot(member, before);
    await shop.lot(member, more);
    expect(await shop.rank(member)).toBe(rank);
  });
});

test('several ranks at once are one change, one event, with both tiers as they are', async () => {
  const own = await openTiers(deps);
  const member = await own.member();
  await own.lot(member, 1_000);
  const [change, ...more] = await deps.db.tierChange.findMany({ where: { memberId: member } });
  expect(more).toEqual([]);
  const tiers = await deps.db.tier.findMany({
    where: { programId: own.programId },
    orderBy: { rank: 'asc' },
  });
  const [first, , , last] = tiers.map((tier) => ({ id: tier.id, name: tier.name }));
  expect(change).toMatchObject({
    ...{ fromRank: 1, toRank: 4, reason: 'QUALIFIED', regainedAt: null },
    fromTier: { ...first, rank: 1, qualifyPoints: 0, maintainPoints: 0, multiplier: 10_000 },
    toTier: { ...last, rank: 4, qualifyPoints: 1_000, maintainPoints: 800, multiplier: 10_000 },
    day: new Date('2021-01-01T00:00:00Z'),
    at: new Date('2021-01-01T08:00:00Z'),
  });
  expect(await own.events()).toEqual(['points.awarded', 'tier.upgraded']);
  const event = await deps.db.event.findFirstOrThrow({
    where: { memberId: member, type: 'tier.upgraded' },
  });
  expect(event.data).toEqual({
    ...{ reason: 'QUALIFIED', fromRank: 1, toRank: 4 },
    ...{ fromTierId: first?.id, toTierId: last?.id },
  });
  expect(await own.differences()).toEqual([]);
});

test('the purchase that reaches a tier earns at the multiplier of the one before', async () => {
  const tiers = ladder(RUNGS).map((tier, index) => ({ ...tier, multiplier: 10_000 * (index + 1) }));
  const own = await openTiers(deps, { tiers });
  const member = await own.member();
  const points = [];
  for (const amount of [99, 1, 10, 200, 10]) points.push((await own.lot(member, amount)).points);
  expect(points).toEqual([99n, 1n, 20n, 400n, 30n]);
  expect(await own.history(member)).toEqual([
    'QUALIFIED 1-2 2021-01-01',
    'QUALIFIED 2-3 2021-01-01',
  ]);
});

describe('what counts', () => {
  test('are points that have not matured, and only as many as the cap of the day left', async () => {
    const own = await openTiers(deps, { settings: { maturityDays: 30, dailyCap: 500 } });
    const member = await own.member();
    await own.lot(member, 5_000);
    expect(await own.points(member)).toEqual([0, 500, 0, 500]);
    expect([await own.earned(member), await own.rank(member)]).toEqual([500, 3]);
  });

  test('is what was earned, spent or expired or not', async () => {
    const own = await openTiers(deps, { settings: { expiryMonths: 1 } });
    const member = await own.member();
    await own.lot(member, 500);
    const spend = await own.spent(member, 200);
    expect(await own.earned(member)).toBe(500);
    await own.refund(spend, 50);
    await own.advance(new Date('2021-03-15T08:00:00Z'));
    expect(await own.points(member)).toEqual([0, 0, 0, 0]);
    expect([await own.earned(member), await own.rank(member)]).toEqual([500, 3]);
    expect(await own.grace(member)).toBeNull();
  });

  test('are purchases: no grant, and no bonus', async () => {
    const member = await shop.member();
    await shop.lot(member, 99);
    await shop.grant(member, 10_000);
    expect([await shop.earned(member), await shop.rank(member)]).toEqual([99, 1]);
    await shop.lot(member, 1);
    expect(await shop.rank(member)).toBe(2);
  });

  test('is less what refunds took back, of this order and wherever it was drawn', async () => {
    const member = await shop.member();
    await shop.lot(member, 90, { orderId: 'back' });
    await shop.lot(member, 5);
    await shop.spent(member, 95);
    await shop.reverse('back', 45);
    expect(await shop.earned(member)).toBe(50);
    await shop.lot(member, 49);
    expect(await shop.rank(member)).toBe(1);
    await shop.lot(member, 1);
    expect([await shop.earned(member), await shop.rank(member)]).toEqual([100, 2]);
  });

  test('is a purchase of the past on its own day', async () => {
    const own = await openTiers(deps, { settings: { maxBackdateDays: 800 } });
    const member = await own.member();
    const at = (day: string) => new Date(`${day}T23:30:00Z`);
    await own.lot(member, 400, { occurredAt: at('2020-01-01') });
    expect([await own.earned(member), await own.rank(member)]).toEqual([0, 1]);
    await own.lot(member, 400, { occurredAt: at('2020-01-02') });
    expect([await own.earned(member), await own.rank(member)]).toEqual([400, 2]);
    await own.lot(member, 100, { occurredAt: new Date(own.startOf('2021-01-01').getTime() - DAY) });
    expect(await own.rank(member)).toBe(3);
  });
});

describe('nothing happens to a tier', () => {
  test('by an award that is a repetition', async () => {
    const own = await openTiers(deps);
    const member = await own.member();
    await own.lot(member, 400, { orderId: 'once' });
    await own.setLadder([
      [0, 0],
      [50, 0],
      [400, 0],
      [1_000, 0],
    ]);
    await unchanged(deps.db, () => own.award(member, 'once', { amount: 400 }));
    expect(await own.rank(member)).toBe(2);
  });

  test('by a refund: the tier stays until a day has come and the grace is over', async () => {
    const own = await openTiers(deps);
    const member = await own.member();
    await own.lot(member, 1_000, { orderId: 'back' });
    await own.reverse('back', 1_000);
    expect([await own.earned(member), await own.rank(member)]).toEqual([0, 4]);
    expect(await own.grace(member)).toBeNull();
    await own.live('2021-01-02');
    expect([await own.rank(member), await own.grace(member)]).toEqual([4, '2021-02-01']);
  });

  test('on the last rank, whatever is bought', async () => {
    const member = await shop.member();
    await shop.lot(member, 1_000);
    await shop.lot(member, 10_000);
    expect(await shop.history(member)).toEqual(['QUALIFIED 1-4 2021-01-01']);
  });

  test('in a program of one rank', async () => {
    const own = await openTiers(deps, { tiers: ladder([[0, 0]]) });
    const member = await own.member();
    await own.lot(member, 1_000);
    await own.live('2022-02-01');
    expect([await own.rank(member), await own.history(member)]).toEqual([1, []]);
  });
});

test('a refund that waited for its award is taken off before the tier is judged', async () => {
  const own = await openTiers(deps);
  const member = await own.member();
  await own.reverse('early', 60, { refundId: 'r' });
  await own.lot(member, 159, { orderId: 'early' });
  expect([await own.earned(member), await own.rank(member)]).toEqual([99, 1]);
  await own.reverse('later', 60, { refundId: 's' });
  await own.lot(member, 61, { orderId: 'later' });
  expect([await own.earned(member), await own.rank(member)]).toEqual([100, 2]);
  expect(await own.differences()).toEqual([]);
});

test('many members climb in one call, each by its own points', async () => {
  const own = await openTiers(deps);
  const members = await Promise.all([99, 100, 499, 500, 1_000].map(() => own.member()));
  const amounts = [99, 100, 499, 500, 1_000];
  await Promise.all(members.map((member, n) => own.lot(member, amounts[n] as number)));
  expect(await Promise.all(members.map(own.rank))).toEqual([1, 2, 2, 3, 4]);
});
