import { z } from 'zod';
import { SpendOrder } from '../generated/prisma/enums.ts';
import { badInput } from '../kernel/errors.ts';
import { parse, whole } from '../kernel/input.ts';
import type { Program, SettingsInput } from './types.ts';

const MAX_DAYS = 3_650;
const MAX_MONTHS = 1_200;
const MAX_WARNINGS = 10;

const amount = () => whole(0).transform(BigInt);
/** As many as one grant: a balance of many of them is still a number that JSON carries exactly. */
const bonus = () => whole(0, 1_000_000_000_000).transform(BigInt);
const days = (min: number) => whole(min, MAX_DAYS);

/** Digits as they were sent, never through a float: 0.1 would not come back as 0.1. */
function decimal(wholeDigits: number) {
  const pattern = new RegExp(`^(0|[1-9]\\d{0,${wholeDigits - 1}})(\\.\\d{1,6})?$`);
  const example = `an exact decimal such as "1.5", ${wholeDigits} digits and 6 places at most`;
  return z.string().regex(pattern, { error: example });
}

const warningDays = z
  .array(days(1))
  .refine((list) => list.length <= MAX_WARNINGS && new Set(list).size === list.length, {
    error: `up to ${MAX_WARNINGS} different numbers of days`,
  });

const schema = z
  .object({
    baseRate: decimal(6),
    minAmount: amount(),
    dailyCap: amount().nullable(),
    expiryMonths: whole(1, MAX_MONTHS).nullable(),
    maturityDays: days(0),
    graceDays: days(0),
    graceWarningDays: warningDays,
    reupgradeBonus: bonus(),
    reupgradeWindowMonths: whole(0, MAX_MONTHS),
    birthdayBonus: bonus(),
    reengagementBonus: bonus(),
    inactiveDays: days(1),
    pointValue: decimal(12),
    spendOrder: z.enum(SpendOrder),
    maxDiscountRate: whole(0, 10_000),
    maxBackdateDays: days(0),
  })
  .partial();

export type Settings = z.infer<typeof schema>;

const REMOVABLE: ReadonlySet<string> = new Set(['dailyCap', 'expiryMonths']);

export const defaultSettings = {
  baseRate: '1',
  minAmount: 0n,
  dailyCap: null,
  expiryMonths: 12,
  maturityDays: 0,
  graceDays: 30,
  graceWarningDays: [14, 3],
  reupgradeBonus: 0n,
  reupgradeWindowMonths: 12,
  birthdayBonus: 0n,
  reengagementBonus: 0n,
  inactiveDays: 90,
  pointValue: '1',
  spendOrder: SpendOrder.OLDEST_EARNED,
  maxDiscountRate: 3_000,
  maxBackdateDays: 60,
} satisfies Required<Settings>;

/**
 * What was said, in the types of the table. Throws BAD_USER_INPUT with a path that begins with
 * `path`.
 */
export function readSettings(input: SettingsInput, path: string): Settings {
  for (const [name, value] of Object.entries(input))
    if (value === null && !REMOVABLE.has(name))
      throw badInput(`${path}.${name}`, 'a value: this setting cannot be removed');
  return parse(schema, input, path);
}

// Days of 0 to 11 months in a row, where they are fewest: such a run holds a February of 28 days.
const FEWEST_DAYS = [0, 28, 59, 89, 120, 150, 181, 212, 242, 273, 303, 334] as const;

/** How many days, at least, lie between a date and the same date `months` later. */
export const fewestDays = (months: number): number =>
  365 * Math.floor(months / 12) + (FEWEST_DAYS[months % 12] as number);

/**
 * A lot earned on date d is usable through d + expiryMonths, and from d + maturityDays on. If for
 * any date the second lay after the first, its points could never be spent.
 */
export function assertMaturesInTime(
  settings: Pick<Program, 'expiryMonths' | 'maturityDays'>,
  path: string,
): void {
  const { expiryMonths, maturityDays } = settings;
  if (expiryMonths !== null && maturityDays > fewestDays(expiryMonths))
    throw badInput(`${path}.maturityDays`, 'points to mature before they expire');
}
