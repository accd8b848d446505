import { expect, test } from 'vitest';
import { localDays } from '../support/local-days.ts';
import type { Lot } from '../support/oracle.ts';
import { TiersOracle, type TierTerms } from '../support/tiers-oracle.ts';

const ME = 'me';
const LADDER = [
  { qualify: 0, maintain: 0, multiplier: 10_000 },
  { qualify: 100, maintain: 80, multiplier: 10_000 },
  { qualify: 300, maintain: 240, multiplier: 10_000 },
];
type Of = Partial<TierTerms> & {
  timeZone?: string;
  start?: string;
  cap?: number;
  expiryMonths?: number;
};

/** A member who buys for so many cents, each of them a point at the lowest rank. */
function shop({ timeZone = 'UTC', start = '2021-01-01', ...tiers }: Of = {}) {
  const days = localDays(timeZone);
  const noon = (day: string) => days.startOf(day) + 12 * 3_600_000;
  const { cap = null, expiryMonths = null, ...more } = tiers;
  const oracle = new TiersOracle({
    now: noon(start),
    days,
    holders: [{ id: ME, multiplier: 10_000, debt: 0 }],
    terms: {
      ...{ minAmount: 0, rate: 100_000_000, digits: 2, cap, expiryMonths },
      ...{ maturityDays: 0, backdateDays: 60, earliestExpiry: false },
    },
    tiers: {
      ...{ ladder: LADDER, graceDays: 30, warningDays: [14, 3] },
      ...{ reupgradeBonus: 0, reupgradeWindowMonths: 12 },
      ...{ birthdayBonus: 0, reengagementBonus: 0, inactiveDays: 90, ...more },
    },
  });
  const standing = oracle.standing(ME);
  let orders = 0;
  const order = (n: number) => ({ source: 'SHOPIFY', order: `order ${n}`, generation: 1 });
  return {
    oracle,
    standing,
    go: (day: string) => oracle.advance(noon(day)),
    buy: (amount: number, at?: number): Lot => {
      orders += 1;
      const bought = { member: ME, amount, ...order(orders), ...(at ? { at } : {}) };
      const said = oracle.award(bought);
      if ('refused' in said) throw new Error(said.refused.join());
      return said.ok;
    },
    /** Of the nth purchase. */
    refund: (n: number, amount: number) =>
      oracle.reverse({ id: `refund ${n} of ${amount}`, ...order(n), amount }),
    moves: () => standing.history.map((one) => `${days.of(one.at)} ${one.from}>${one.to}`),
    bonuses: () =>
      oracle.lots
        .filter((lot) => lot.order === null)
        .map((lot) => `${lot.day} ${lot.source} ${lot.points}`),
  };
}

test.each([
  [99, 1],
  [100, 2],
  [101, 2],
  [299, 2],
  [300, 3],
])('%i points are rank %i', (points, rank) => {
  const { buy, standing } = shop();
  buy(points);
  expect(standing.rank).toBe(rank);
});

test('points add up to a rank, and are earned at the rate of the rank before them', () => {
  const ladder = LADDER.map((rung, rank) => ({ ...rung, multiplier: 10_000 + rank * 2_500 }));
  const { buy, standing } = shop({ ladder });
  expect(buy(60).points).toBe(60);
  expect(buy(60).points).toBe(60);
  expect(standing.rank).toBe(2);
  expect(buy(100).points).toBe(125);
  expect(buy(100).points).toBe(125); // 370 in all, beyond 300
  expect(standing.rank).toBe(3);
  expect(buy(1).points).toBe(1);
});

test('what the cap withholds does not count', () => {
  const { oracle, buy, standing } = shop({ cap: 99 });
  buy(500);
  expect([oracle.metric(ME), standing.rank]).toEqual([99, 1]);
});

test.each([
  ['2021-01-31', '2022-01-30', '2022-01-31'],
  ['2024-02-29', '2025-02-28', '2025-03-01'],
  ['2023-02-28', '2024-02-27', '2024-02-28'],
  ['2023-03-01', '2024-02-29', '2024-03-01'],
])('what was earned on %s counts until %s, and on %s no more', (earned, last, next) => {
  const { oracle, go, buy } = shop({ start: earned });
  buy(70);
  go(last);
  expect(oracle.metric(ME)).toBe(70);
  go(next);
  expect(oracle.metric(ME)).toBe(0);
});

test('a purchase counts on the day on which it was made, however late it is told of', () => {
  const { oracle, go, buy } = shop({ start: '2021-03-01' });
  buy(70, oracle.now - 28 * 86_400_000); // 2021-02-01
  go('2022-01-31');
  expect(oracle.metric(ME)).toBe(70);
  go('2022-02-01');
  expect(oracle.metric(ME)).toBe(0);
});

test('spending, expiry and gifts leave the metric alone, a refund does not', () => {
  const { oracle, go, buy, refund, standing } = shop({ expiryMonths: 1 });
  buy(100);
  oracle.spend({ member: ME, points: 40, key: 'one' });
  oracle.grant({ member: ME, points: 1_000, key: 'two' });
  go('2021-02-02');
  expect([oracle.balance(ME), oracle.metric(ME), standing.rank]).toEqual([0, 100, 2]);
  refund(1, 50);
  expect([oracle.metric(ME), standing.rank, standing.graceEnds]).toEqual([50, 2, null]);
  go('2021-02-03');
  expect([standing.rank, standing.graceEnds]).toEqual([2, '2021-03-05']);
});

test('a refund that came before its award is taken off before the rank is judged', () => {
  const { buy, refund, standing } = shop();
  refund(1, 1);
  buy(100);
  expect(standing.rank).toBe(1);
});

test('a grace lasts its days, with a warning at each of the days before its end', () => {
  const { buy, go, standing, moves } = shop();
  buy(100);
  go('2021-12-31');
  expect(standing.graceEnds).toBe(null);
  go('2022-01-01');
  expect(standing.graceEnds).toBe('2022-01-31');
  go('2022-01-30');
  expect([standing.rank, standing.warnings]).toEqual([2, ['2022-01-17', '2022-01-28']]);
  go('2022-01-31');
  expect([standing.rank, standing.graceEnds]).toEqual([1, null]);
  expect(moves()).toEqual(['2021-01-01 1>2', '2022-01-31 2>1']);
  expect(standing.history.map(({ reason }) => reason)).toEqual(['QUALIFIED', 'GRACE_OVER']);
  go('2022-12-31');
  expect(standing.graces).toEqual(['2022-01-01']);
});

test.each([
  [79, '2022-01-31', 1],
  [80, null, 2],
])('of %i points in a grace the next morning makes an end of %s', (points, graceEnds, rank) => {
  const { buy, go, standing } = shop();
  buy(100);
  go('2022-01-10');
  buy(points);
  expect(standing.graceEnds).toBe('2022-01-31');
  go('2022-01-11');
  expect(standing.graceEnds).toBe(graceEnds);
  go('2022-02-01');
  expect([standing.rank, standing.history.length]).toEqual([rank, 3 - rank]);
});

test('an upgrade ends a grace at once', () => {
  const { buy, go, standing } = shop();
  buy(100);
  go('2022-01-10');
  buy(300);
  expect([standing.rank, standing.graceEnds]).toEqual([3, null]);
});

test('ranks are lost one at a time, each after a grace that begins the next day', () => {
  const { buy, go, standing, moves } = shop();
  buy(300);
  go('2022-03-31');
  expect(moves()).toEqual(['2021-01-01 1>3', '2022-01-31 3>2', '2022-03-03 2>1']);
  expect(standing.graces).toEqual(['2022-01-01', '2022-02-01']);
  expect(standing.warnings).toEqual(['2022-01-17', '2022-01-28', '2022-02-17', '2022-02-28']);
});

test('a warning may fall on the first day of a grace, and is never given late', () => {
  const { buy, go, standing } = shop({ graceDays: 14, warningDays: [20, 14, 1] });
  buy(100);
  go('2022-03-01');
  expect(standing.warnings).toEqual(['2022-01-01', '2022-01-14']);
});

test('without days of grace a rank is lost on the first day', () => {
  const { buy, go, moves } = shop({ graceDays: 0, warningDays: [0] });
  buy(300);
  go('2022-03-01');
  expect(moves()).toEqual(['2021-01-01 1>3', '2022-01-01 3>2', '2022-01-02 2>1']);
});

test('each lost rank that comes back is rewarded once', () => {
  const { buy, go, bonuses } = shop({ reupgradeBonus: 25 });
  buy(300); // lost on 2022-01-31 and on 2022-03-03
  go('2022-05-01');
  buy(100);
  expect(bonuses()).toEqual(['2022-05-01 REUPGRADE 25']);
  buy(200);
  expect(bonuses()).toEqual(['2022-05-01 REUPGRADE 25', '2022-05-01 REUPGRADE 25']);
  go('2023-08-01'); // lost again, on 2023-05-31 and on 2023-07-01
  expect(bonuses().length).toBe(2);
  buy(300);
  expect(bonuses().length).toBe(4);
});

test('a bonus pays debt, and does not bring a rank nearer', () => {
  const { oracle, buy, go, refund } = shop({ reupgradeBonus: 25 });
  buy(100);
  go('2022-02-01');
  oracle.spend({ member: ME, points: 100, key: 'all' });
  refund(1, 100);
  expect(oracle.holder(ME).debt).toBe(100);
  buy(100);
  expect([oracle.holder(ME).debt, oracle.balance(ME), oracle.metric(ME)]).toEqual([0, 25, 100]);
  expect(oracle.entries.slice(-3).map(({ kind, points }) => [kind, points])).toEqual([
    ['AWARD', 100],
    ['REVERSE', -100],
    ['AWARD', 25],
  ]);
});

test.each([
  ['2022-04-30', 1],
  ['2022-05-01', 0],
])('what was lost on 2022-01-31 and regained on %s pays %i bonuses', (day, count) => {
  const { buy, go, bonuses } = shop({ reupgradeBonus: 25, reupgradeWindowMonths: 3 });
  buy(100);
  go(day);
  buy(100);
  expect(bonuses().length).toBe(count);
});

test('a changed ladder moves nobody until the next award or morning', () => {
  const easier = LADDER.map((rung) => ({ ...rung, qualify: rung.qualify / 2, maintain: 0 }));
  const morning = shop();
  morning.buy(60);
  morning.oracle.setTiers(easier);
  expect(morning.standing.rank).toBe(1);
  morning.go('2021-01-02');
  expect(morning.standing.history.map(({ to, reason }) => [to, reason])).toEqual([
    [2, 'LADDER_CHANGED'],
  ]);
  const award = shop();
  award.buy(60);
  award.oracle.setTiers(easier);
  award.buy(1);
  expect(award.standing.history.map(({ to, reason }) => [to, reason])).toEqual([[2, 'QUALIFIED']]);
});

test('a harder ladder takes a rank away only after a grace', () => {
  const { oracle, buy, go, standing, moves } = shop();
  buy(100);
  oracle.setTiers(LADDER.map((rung, rank) => ({ ...rung, maintain: rank * 101 })));
  go('2021-01-02');
  expect([standing.rank, standing.graceEnds]).toEqual([2, '2021-02-01']);
  go('2021-02-01');
  expect(moves()).toEqual(['2021-01-01 1>2', '2021-02-01 2>1']);
});

test('mornings are the first instants of the local days, where clocks change too', () => {
  const { buy, go, standing } = shop({ timeZone: 'America/New_York', graceDays: 72 });
  buy(100);
  go('2022-03-14');
  expect(new Date(standing.history[1]?.at ?? 0).toISOString()).toBe('2022-03-14T04:00:00.000Z');
  expect(standing.graces).toEqual(['2022-01-01']);
});

test('a birthday is rewarded on its day, that of a leap day on the 28th in other years', () => {
  const { go, bonuses, standing } = shop({ birthdayBonus: 10 });
  standing.birthday = '2000-02-29';
  go('2025-01-01');
  expect(bonuses()).toEqual([
    '2021-02-28 BIRTHDAY 10',
    '2022-02-28 BIRTHDAY 10',
    '2023-02-28 BIRTHDAY 10',
    '2024-02-29 BIRTHDAY 10',
  ]);
});

test('a birthday that moves within its year is rewarded once', () => {
  const { go, bonuses, standing } = shop({ birthdayBonus: 10 });
  standing.birthday = '1990-03-01';
  go('2021-03-05');
  standing.birthday = '1990-04-01';
  go('2022-04-02');
  expect(bonuses()).toEqual(['2021-03-01 BIRTHDAY 10', '2022-04-01 BIRTHDAY 10']);
});

test('who has bought nothing for 90 days is asked to come back, once for each time', () => {
  const { buy, go, bonuses } = shop({ reengagementBonus: 5 });
  go('2021-12-01');
  expect(bonuses()).toEqual([]);
  buy(0);
  go('2022-02-28');
  expect(bonuses()).toEqual([]);
  go('2022-12-31');
  buy(1);
  go('2023-12-31');
  expect(bonuses()).toEqual(['2022-03-01 REENGAGEMENT 5', '2023-03-31 REENGAGEMENT 5']);
});

test('a morning expires first, then judges, then congratulates, then misses', () => {
  const { oracle, buy, go, standing } = shop({
    ...{ expiryMonths: 12, graceDays: 0, birthdayBonus: 10 },
    ...{ reengagementBonus: 5, inactiveDays: 366 },
  });
  standing.birthday = '1990-01-02';
  standing.congratulated.push('2021');
  buy(100);
  go('2022-01-02');
  const at = Date.parse('2022-01-02T00:00:00Z');
  expect(oracle.entries.filter((entry) => entry.at === at)).toMatchObject([
    { kind: 'EXPIRE', points: -100 },
    { kind: 'AWARD', points: 10, after: 10, lot: { source: 'BIRTHDAY' } },
    { kind: 'AWARD', points: 5, after: 15, lot: { source: 'REENGAGEMENT' } },
  ]);
  expect(standing.rank).toBe(1);
});
