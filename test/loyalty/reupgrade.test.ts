/** Whoever wins back a rank that was lost gets a bonus, once for each time that it was lost. */
import { describe, expect, test } from 'vitest';
import { testDeps } from '../support/database.ts';
import { openTiers } from '../support/tiers.ts';

const deps = await testDeps();
const settings = { reupgradeBonus: 70 };

/** Bought once, on 1 January: lost rank 4, 3 and 2, a grace of 30 days and a day each. */
async function lost(more: object = {}) {
  const own = await openTiers(deps, { settings: { ...settings, ...more } });
  const member = await own.member();
  await own.lot(member, 1_000, { orderId: 'first' });
  await own.live('2022-04-05');
  expect((await own.history(member)).slice(1)).toEqual([
    'GRACE_OVER 4-3 2022-01-31',
    'GRACE_OVER 3-2 2022-03-03',
    'GRACE_OVER 2-1 2022-04-03',
  ]);
  return { own, member };
}

test('each rank that is won back pays once, in the transaction of the award', async () => {
  const { own, member } = await lost();
  await own.lot(member, 500);
  expect(await own.bonuses(member)).toEqual([70, 70]);
  await own.lot(member, 500);
  expect(await own.bonuses(member)).toEqual([70, 70, 70]);
  await own.lot(member, 5_000);
  expect(await own.bonuses(member)).toEqual([70, 70, 70]);
  expect((await own.events()).slice(-7)).toEqual([
    ...['tier.upgraded', 'points.awarded', 'points.awarded'],
    ...['points.awarded', 'tier.upgraded', 'points.awarded', 'points.awarded'],
  ]);
  expect(await own.differences()).toEqual([]);
});

test('all of them are won back at once by one purchase', async () => {
  const { own, member } = await lost();
  await own.lot(member, 1_000);
  expect(await own.bonuses(member)).toEqual([70, 70, 70]);
  const changes = await deps.db.tierChange.findMany({
    where: { memberId: member, reason: 'GRACE_OVER' },
    orderBy: { id: 'asc' },
  });
  const lots = await deps.db.ledgerBatch.findMany({
    where: { memberId: member, source: 'REUPGRADE' },
    orderBy: { sequence: 'asc' },
  });
  expect(lots.map(({ occasion }) => occasion)).toEqual(changes.map(({ id }) => id.toString()));
  expect(changes.map(({ regainedAt }) => regainedAt)).toEqual(Array(3).fill(lots[0]?.earnedAt));
});

test('a rank that was lost twice pays twice', async () => {
  const own = await openTiers(deps, { settings: { ...settings, reupgradeWindowMonths: 36 } });
  const member = await own.member();
  for (const day of ['2021-01-01', '2022-06-01', '2023-12-01']) {
    await own.live(day);
    await own.lot(member, 100);
  }
  expect(await own.history(member)).toEqual([
    'QUALIFIED 1-2 2021-01-01',
    'GRACE_OVER 2-1 2022-01-31',
    'QUALIFIED 1-2 2022-06-01',
    'GRACE_OVER 2-1 2023-07-01',
    'QUALIFIED 1-2 2023-12-01',
  ]);
  expect(await own.bonuses(member)).toEqual([70, 70]);
});

test('a first upgrade, and one that reaches no more than what was kept, pay nothing', async () => {
  const own = await openTiers(deps, { settings });
  const [member, newcomer] = [await own.member(), await own.member()];
  await own.lot(member, 500);
  await own.live('2022-02-15');
  expect(await own.rank(member)).toBe(2);
  await own.lot(member, 100);
  await own.lot(newcomer, 1_000);
  expect([await own.bonuses(member), await own.bonuses(newcomer)]).toEqual([[], []]);
});

describe('only what was lost within the window pays', () => {
  test.each([
    // Lost on 31 January 2022: twelve months later the day still counts, the next does not.
    ['2023-01-31', 12, [70]],
    ['2023-02-01', 12, []],
    ['2022-01-31', 0, [70]],
    ['2022-02-01', 0, []],
    ['2022-02-28', 1, [70]],
    ['2022-03-01', 1, []],
  ])('on %s, window %i months: %j', async (day, reupgradeWindowMonths, expected) => {
    const own = await openTiers(deps, { settings: { ...settings, reupgradeWindowMonths } });
    const member = await own.member();
    await own.lot(member, 100);
    await own.live(day);
    await own.lot(member, 100);
    expect([await own.rank(member), await own.bonuses(member)]).toEqual([2, expected]);
  });

  test('and what is too late is won back all the same: it never pays later', async () => {
    const { own, member } = await lost({ reupgradeWindowMonths: 0 });
    await own.lot(member, 1_000);
    await own.set({ reupgradeWindowMonths: 100 });
    await own.live('2023-08-01');
    expect(await own.rank(member)).toBe(1);
    await own.lot(member, 1_000);
    expect(await own.bonuses(member)).toEqual([70, 70, 70]);
  });
});

test('it pays debt, can be spent, and counts for no tier', async () => {
  const { own, member } = await lost();
  await own.lot(member, 50, { orderId: 'gone' });
  await own.spent(member, 50);
  await own.reverse('gone', 50);
  expect(await own.points(member)).toEqual([0, 0, 50, 0]);
  await own.lot(member, 100);
  // The award of 100 pays the debt of 50, the bonus comes on top.
  expect(await own.points(member)).toEqual([120, 0, 0, 120]);
  expect(await own.earned(member)).toBe(100);
  expect(await own.differences()).toEqual([]);
});

test('the bonus itself pays what the award could not', async () => {
  const { own, member } = await lost({ expiryMonths: null });
  await own.spent(member, 1_000);
  await own.reverse('first', 1_000);
  expect(await own.points(member)).toEqual([0, 0, 1_000, 0]);
  await own.lot(member, 100);
  expect(await own.bonuses(member)).toEqual([70]);
  expect(await own.points(member)).toEqual([0, 0, 830, 0]);
  expect(await own.differences()).toEqual([]);
});

test('a bonus of nothing is no lot, and what was won back stays won back', async () => {
  const { own, member } = await lost({ reupgradeBonus: 0 });
  await own.lot(member, 1_000);
  expect(await own.bonuses(member)).toEqual([]);
  const open = { memberId: member, reason: 'GRACE_OVER', regainedAt: null } as const;
  expect(await deps.db.tierChange.count({ where: open })).toBe(0);
});

test('a ladder that gives back what was lost pays as well', async () => {
  const { own, member } = await lost();
  await own.lot(member, 90);
  await own.setLadder([
    [0, 0],
    [90, 0],
    [500, 400],
    [1_000, 800],
  ]);
  await own.live('2022-04-06');
  expect((await own.history(member)).at(-1)).toBe('LADDER_CHANGED 1-2 2022-04-06');
  expect(await own.bonuses(member)).toEqual([70]);
  expect(await own.differences()).toEqual([]);
});
