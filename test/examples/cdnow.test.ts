import { expect, test } from 'vitest';
import {
  customersOf,
  dayAfter,
  daysBetween,
  firstPurchases,
  money,
  parsePurchases,
  readPurchases,
  sum,
} from '../../examples/demo/cdnow.ts';
import { tenthOf } from '../../examples/demo/coupons-check.ts';
import { ladderByMonth } from '../../examples/demo/ladder.ts';
import { atHour, planOf, visitsOf } from '../../examples/demo/plan.ts';

const purchases = await readPurchases();

test('the file holds 69,659 purchases of 23,544 customers for 2,500,315.63', () => {
  expect(purchases.length).toBe(69_659);
  expect(customersOf(purchases).length).toBe(23_544);
  expect(sum(purchases.map(({ cents }) => cents))).toBe(250_031_563);
  expect(purchases.filter(({ cents }) => cents === 0).length).toBe(80);
});

test('its dates run from 2021-01-01 to 2022-06-30', () => {
  const dates = purchases.map(({ date }) => date).sort();
  expect([dates[0], dates.at(-1)]).toEqual(['2021-01-01', '2022-06-30']);
});

test('every purchase has an order id of its own, counted within its customer’s day', () => {
  expect(new Set(purchases.map(({ orderId }) => orderId)).size).toBe(69_659);
  const numbers = purchases.map(({ orderId }) => Number(orderId.split('-')[2]));
  expect(numbers.filter((n) => n === 2).length).toBe(1_779);
  expect(numbers.reduce((a, b) => Math.max(a, b))).toBe(16);
});

test('a line is read in whole cents, with either end of line', () => {
  const text = ' 00002 20210112  1   12.00\r\n 00002 20210112  5   77.05\n';
  expect(parsePurchases(text)).toEqual([
    { orderId: '00002-20210112-1', customer: '00002', date: '2021-01-12', cds: 1, cents: 1_200 },
    { orderId: '00002-20210112-2', customer: '00002', date: '2021-01-12', cds: 5, cents: 7_705 },
  ]);
});

test('a line that is no purchase is refused by its number', () => {
  const text = ' 00002 20210112  1   12.00\n 00002 20210112  1   12.5\n';
  expect(() => parsePurchases(text)).toThrow('line 2:');
});

test('the first purchase of at least 5.00 passes over smaller ones, and customers without one', () => {
  const text = [
    ' 00001 20210101  1    0.00',
    ' 00001 20210103  1    4.99',
    ' 00001 20210105  1    5.00',
    ' 00001 20210106  1   90.00',
    ' 00002 20210101  1    4.99',
  ].join('\n');
  const first = firstPurchases(parsePurchases(text), 500);
  expect(first.map(({ orderId }) => orderId)).toEqual(['00001-20210105-1']);
});

test('a tenth is rounded down to the cent', () => {
  expect([500, 505, 509, 1_177, 0].map(tenthOf)).toEqual([50, 50, 50, 117, 0]);
});

test('money is written with its cents', () => {
  expect([0, 5, 7_733_109].map(money)).toEqual(['0.00', '0.05', '77,331.09']);
});

test('the plan of the whole file is 546 days, three for refunds, 25,000 codes and 23,398 redemptions', () => {
  const plan = planOf(purchases);
  expect(plan.days.length).toBe(546 + 3);
  expect(plan.codes).toBe(25_000);
  expect(plan.orders.length).toBe(23_398);
  expect(plan.purchases.length).toBe(69_659);
});

test('every 97th purchase is refunded three days later, unless it cost nothing', () => {
  const { refunds, days } = planOf(purchases);
  expect(refunds.length).toBe(718);
  expect(refunds[0]).toEqual({
    ...purchases[96],
    refundedOn: dayAfter(purchases[96]?.date ?? '', 3),
  });
  expect(refunds.every(({ refundedOn }) => days.includes(refundedOn))).toBe(true);
  const free = purchases.map((purchase) => ({ ...purchase, cents: 0 }));
  expect(planOf(free).refunds).toEqual([]);
});

test('everything in the plan happens once, on its day, in the order of the file', () => {
  const plan = planOf(purchases);
  const visits = [...visitsOf(plan).values()].flat();
  const byId = (list: { orderId: string }[]) => list.map(({ orderId }) => orderId).sort();
  const happening = (what: 'purchases' | 'refunds') => byId(visits.flatMap((visit) => visit[what]));
  expect(happening('purchases')).toEqual(byId([...purchases]));
  expect(happening('refunds')).toEqual(byId([...plan.refunds]));
  const redeemed = visits.flatMap((visit) => visit.redeemed ?? []);
  expect(byId(redeemed)).toEqual(byId([...plan.orders]));
  const busiest = visits.reduce((a, b) => (a.purchases.length > b.purchases.length ? a : b));
  expect(busiest.purchases).toEqual(
    purchases.filter(
      ({ customer, date }) => customer === busiest.customer && date === busiest.purchases[0]?.date,
    ),
  );
});

test('the ladder of a month is what its moves made of the month before', () => {
  const plan = planOf(purchases, { customers: 5, days: 30 }); // and three days of February
  const months = ladderByMonth(plan, {
    moves: [
      { month: '2021-01', from: 1, to: 3, count: 2 },
      { month: '2021-02', from: 3, to: 2, count: 1 },
      { month: '2021-02', from: 1, to: 2, count: 1 },
    ],
    expired: { '2021-02': 7 },
    warnings: { '2021-01': 3 },
  });
  expect(months).toEqual([
    {
      ...{ month: '2021-01', members: [3, 0, 2, 0], upgrades: 2, downgrades: 0 },
      ...{ warnings: 3, expired: 0 },
    },
    {
      ...{ month: '2021-02', members: [2, 2, 1, 0], upgrades: 1, downgrades: 1 },
      ...{ warnings: 0, expired: 7 },
    },
  ]);
});

test('days pass month ends and leap years', () => {
  expect(daysBetween('2024-02-28', '2024-03-01')).toEqual([
    '2024-02-28',
    '2024-02-29',
    '2024-03-01',
  ]);
});

test('noon in the shop is another instant in summer than in winter', () => {
  expect(atHour('2021-03-13', '12')).toBe('2021-03-13T12:00:00-05:00');
  expect(atHour('2021-03-14', '12')).toBe('2021-03-14T12:00:00-04:00');
});
