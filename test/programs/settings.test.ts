import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readLadder } from '../../src/programs/ladder.ts';
import {
  assertMaturesInTime,
  defaultSettings,
  fewestDays,
  readSettings,
} from '../../src/programs/settings.ts';
import type { SettingsInput, TierInput } from '../../src/programs/types.ts';

const read = (input: SettingsInput) => readSettings(input, 'settings');

describe('decimals', () => {
  test.each(['0', '1', '1.5', '0.000001', '999999.999999', '10.10'])('%s is one', (text) => {
    expect(read({ baseRate: text })).toEqual({ baseRate: text });
  });

  test.each([
    '',
    '.5',
    '1.',
    '01',
    '-1',
    '+1',
    '1e3',
    '1,5',
    ' 1',
    '1 ',
    'NaN',
    'Infinity',
    '0x1',
    '1.0000001',
    '1000000',
    '١',
    '1\n',
  ])('%j is none', (text) => {
    expect(() => read({ baseRate: text })).toThrow('settings.baseRate: expected an exact decimal');
  });
});

test('null removes a nullable setting and is bad input for the others', () => {
  expect(read({ dailyCap: null, expiryMonths: null })).toEqual({
    dailyCap: null,
    expiryMonths: null,
  });
  const others = Object.keys(defaultSettings).filter(
    (k) => !['dailyCap', 'expiryMonths'].includes(k),
  );
  for (const name of others)
    expect(() => read({ [name]: null })).toThrow(`settings.${name}: expected a value`);
});

test('what is left out is not mentioned, so that it is kept', () => {
  expect(read({})).toEqual({});
  expect(read({ graceDays: 3 })).toEqual({ graceDays: 3 });
});

test.each<[keyof SettingsInput, unknown]>([
  ['minAmount', -1],
  ['dailyCap', -1],
  ['expiryMonths', 0],
  ['expiryMonths', 1_201],
  ['maturityDays', 3_651],
  ['graceDays', -1],
  ['graceWarningDays', [3, 3]],
  ['graceWarningDays', [0]],
  ['graceWarningDays', Array.from({ length: 11 }, (_, i) => i + 1)],
  ['inactiveDays', 0],
  ['maxDiscountRate', 10_001],
  ['maxBackdateDays', -1],
  ['birthdayBonus', -1],
  ['birthdayBonus', 1_000_000_000_001],
  ['reengagementBonus', 1_000_000_000_001],
  ['reupgradeBonus', 1_000_000_000_001],
])('%s cannot be %j', (name, value) => {
  expect(() => read({ [name]: value })).toThrow(`settings.${name}`);
});

/** The date `months` later, clamped to the end of the month: what the domain says of expiry. */
function monthsLater(from: Date, months: number): Date {
  const first = new Date(Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + months, 1));
  const last = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0));
  return new Date(
    Date.UTC(
      first.getUTCFullYear(),
      first.getUTCMonth(),
      Math.min(from.getUTCDate(), last.getUTCDate()),
    ),
  );
}

const DAY = 86_400_000;

test('fewestDays is the shortest that any date has, over a leap year that is left out', () => {
  for (const months of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 24, 36]) {
    let fewest = Number.POSITIVE_INFINITY;
    for (let day = Date.UTC(2096, 0, 1); day < Date.UTC(2104, 0, 1); day += DAY) {
      const from = new Date(day);
      fewest = Math.min(fewest, (monthsLater(from, months).getTime() - day) / DAY);
    }
    expect([months, fewestDays(months)]).toEqual([months, fewest]);
  }
});

test('settings that pass never let points expire before they mature, whatever the date', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 0, max: 2_000 }),
      fc.date({ min: new Date('1970-01-01'), max: new Date('2999-12-31'), noInvalidDate: true }),
      (...[expiryMonths, maturityDays, at]) => {
        const day = new Date(at.toISOString().slice(0, 10));
        try {
          assertMaturesInTime({ expiryMonths, maturityDays }, 'settings');
        } catch {
          return;
        }
        const matures = day.getTime() + maturityDays * DAY;
        const expires = monthsLater(day, expiryMonths).getTime() + DAY;
        expect(matures).toBeLessThan(expires);
      },
    ),
  );
});

test('a maturity is refused from the day on which some date has nothing left', () => {
  const check = (maturityDays: number) => () =>
    assertMaturesInTime({ expiryMonths: 1, maturityDays }, 'settings');
  expect(check(28)).not.toThrow();
  expect(check(29)).toThrow('settings.maturityDays: expected points to mature before they expire');
  expect(() => assertMaturesInTime({ expiryMonths: null, maturityDays: 3_650 }, 's')).not.toThrow();
});

describe('a ladder', () => {
  const tier = (qualifyPoints: number, more: Partial<TierInput> = {}): TierInput => ({
    name: 'T',
    qualifyPoints,
    maintainPoints: 0,
    multiplier: 10_000,
    ...more,
  });

  test('ranks are positions, from 1', () => {
    const ranks = readLadder([tier(0), tier(5), tier(9)], 'tiers').map((rung) => rung.rank);
    expect(ranks).toEqual([1, 2, 3]);
  });

  test.each<[string, TierInput[], string]>([
    ['no tier', [], 'tiers: expected 1 to 50'],
    ['too many', Array.from({ length: 51 }, (_, i) => tier(i)), 'tiers: expected 1 to 50'],
    ['a first one to qualify for', [tier(1)], 'tiers.0.qualifyPoints'],
    ['equal thresholds', [tier(0), tier(5), tier(5)], 'tiers.2.qualifyPoints'],
    ['falling thresholds', [tier(0), tier(5), tier(4)], 'tiers.2.qualifyPoints'],
    ['more to maintain', [tier(0), tier(5, { maintainPoints: 6 })], 'tiers.1.maintainPoints'],
    ['a negative multiplier', [tier(0, { multiplier: -1 })], 'tiers.0.multiplier'],
    ['no name', [tier(0, { name: ' ' })], 'tiers.0.name'],
    ['a negative threshold', [tier(-1)], 'tiers.0.qualifyPoints'],
  ])('with %s is refused', (_, ...[tiers, message]) => {
    expect(() => readLadder(tiers, 'tiers')).toThrow(message);
  });
});
