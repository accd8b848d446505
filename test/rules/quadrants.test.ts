import { expect, test } from 'vitest';
import { growthOf, quadrantOf, rateOf, shareCut } from '../../src/marketing/advisor/quadrants.ts';

test('a rate is in basis points, rounded down, and 0 of nothing', () => {
  expect(rateOf(1, 3)).toBe(3_333);
  expect(rateOf(2, 3)).toBe(6_666);
  expect(rateOf(0, 0)).toBe(0);
  expect(rateOf(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)).toBe(10_000);
});

test.each([
  [{ recent: 11, previous: 10 }, 1_000],
  [{ recent: 10, previous: 10 }, 0],
  [{ recent: 2, previous: 3 }, -3_333],
  [{ recent: 0, previous: 7 }, -10_000],
  [{ recent: 0, previous: 0 }, 0],
  [{ recent: 5, previous: 0 }, 50_000],
  [{ recent: 1_000_000, previous: 0 }, 1_000_000],
])('growth of %j is %i basis points', (redemptions, growth) => {
  expect(growthOf(redemptions)).toBe(growth);
});

test('the cut of the share is an equal part for each pool in play', () => {
  expect([0, 1, 3, 1_000].map(shareCut)).toEqual([10_000, 10_000, 3_333, 10]);
});

test.each([
  ['STAR', { share: 5_000, growth: 1_000 }],
  ['CASH_COW', { share: 5_000, growth: 999 }],
  ['QUESTION_MARK', { share: 4_999, growth: 1_000 }],
  ['DOG', { share: 4_999, growth: 999 }],
])('%s is where %j lies beside a cut of 5000; both cuts are inclusive', (quadrant, place) => {
  expect(quadrantOf({ ...place, isNew: false, cut: 5_000 })).toBe(quadrant);
});

test('a pool that is new counts as growing', () => {
  const place = { growth: 0, isNew: true, cut: 5_000 };
  expect(quadrantOf({ ...place, share: 0 })).toBe('QUESTION_MARK');
  expect(quadrantOf({ ...place, share: 5_000 })).toBe('STAR');
});
