/**
 * What a suggestion may be, whoever made it. A draft that comes out of here would be accepted as a
 * pool, and takes no more off an order than the program allows.
 */
import type { Draft, Facts, Offer, Proposal, Terms } from '../types.ts';
import { plainText } from './plain-text.ts';
import type { Money } from './stated.ts';

const DAY_MS = 86_400_000;
const WHOLE = 10_000n;
export const MAX_TITLE = 80;
const MAX_RATIONALE = 300;
const LONGEST_DAYS = 365;
const MOST_CODES_EACH = 10;
const MOST_CODES = 1_000_000;
/** For an audience that is still to come. */
export const FEWEST_CODES = 100;
/** Less than 1 % off is no offer, but a percentage that was taken for basis points. */
export const LEAST_RATE = 100;
/** Beyond so many average orders a smallest order is nobody's. */
const MOST_ORDERS = 10;
const MAX_MONEY = 1_000_000_000_000;

export type Limits = {
  facts: Facts;
  /** Of the program's clock, as it stands now: facts may be a little older. */
  now: Date;
  /** The terms of every pool that can still be claimed or opened, by `termsOf`. */
  run: ReadonlySet<string>;
  /** The local midnight that ends an offer of 30 days. */
  usualEnd: Date;
  /** Basis points. */
  maxDiscountRate: number;
  money: Money;
};

/** An offer as it was wished for; what is missing gets a usual value. */
export type Wish = {
  title: string;
  rationale: string;
  segment: string;
  draft: Offer & {
    name: string;
    endsAt: Date | null;
    perMemberLimit: number | null;
    suggestedCount: number | null;
  };
};

/** Also of a number that is none: the lower end. */
const within = (value: number, [least, most]: [number, number]): number =>
  Math.min(Math.max(Math.trunc(value) || 0, least), most);

/** The share of an amount, rounded down. */
export const shareOf = (amount: number, rate: number): number =>
  Number((BigInt(amount) * BigInt(rate)) / WHOLE);

/** The smallest order of which an amount is no more than the rate. */
const smallestOrder = (amount: number, rate: number): number =>
  Number((BigInt(amount) * WHOLE + BigInt(rate) - 1n) / BigInt(rate));

type Discount = Pick<Draft, 'discountValue' | 'maxDiscount'> & { minOrderAmount: number };

/** Undefined: the program allows no discount of this kind, or there is nothing to measure it by. */
function discountWithin(wish: Offer, limits: Limits): Discount | undefined {
  const { maxDiscountRate: rate, facts } = limits;
  const { discountKind, discountValue } = wish;
  const maxDiscount = null;
  if (discountKind === 'GIFT') return { discountValue: 0, maxDiscount, minOrderAmount: 0 };
  if (rate === 0) return undefined;
  if (discountKind === 'PERCENT') {
    const value = within(discountValue, [Math.min(LEAST_RATE, rate), rate]);
    const most = within(wish.maxDiscount ?? 0, [0, MAX_MONEY]);
    return { discountValue: value, maxDiscount: most || null, minOrderAmount: 0 };
  }
  const most = shareOf(Math.min(facts.averageOrder ?? 0, MAX_MONEY), rate);
  if (most < 1) return undefined;
  const value = within(discountValue, [1, most]);
  return { discountValue: value, maxDiscount, minOrderAmount: smallestOrder(value, rate) };
}

/** Of a draft that was within its limits, whether it still is when the rate is another one. */
export function isAllowed(draft: Draft, { maxDiscountRate: rate }: { maxDiscountRate: number }) {
  const { discountKind: kind, discountValue: value, minOrderAmount } = draft;
  if (kind === 'PERCENT') return value <= rate;
  return kind === 'GIFT' || (rate > 0 && smallestOrder(value, rate) <= minOrderAmount);
}

function endWithin(wish: Date | null, { now, usualEnd }: Limits): Date {
  const first = now.getTime() + DAY_MS;
  if (wish === null || !(wish.getTime() >= first)) return usualEnd;
  return new Date(Math.min(wish.getTime(), now.getTime() + LONGEST_DAYS * DAY_MS));
}

/** Beyond it nobody would take the offer; where no order is known, hardly anybody anyway. */
export const largestMinimum = ({ averageOrder }: Facts): number =>
  Math.min((averageOrder ?? MAX_MONEY) * MOST_ORDERS, MAX_MONEY);

/** The wish within its limits. Undefined: nothing sensible is left of it. */
export function fitted(wish: Wish, limits: Limits): Proposal | undefined {
  const { draft } = wish;
  const segment = limits.facts.segments.find(({ name }) => name === wish.segment);
  const discount = discountWithin(draft, limits);
  if (!segment || !discount) return undefined;
  const [title, rationale, name] = [
    plainText(wish.title, MAX_TITLE),
    plainText(wish.rationale, MAX_RATIONALE),
    plainText(draft.name, MAX_TITLE),
  ];
  if (!title || !rationale || !name) return undefined;
  const perMemberLimit = within(draft.perMemberLimit ?? 1, [1, MOST_CODES_EACH]);
  const most = Math.min(Math.max(segment.members * perMemberLimit, FEWEST_CODES), MOST_CODES);
  const mostOrder = largestMinimum(limits.facts);
  return {
    title,
    rationale,
    segment: segment.name,
    draft: {
      name,
      discountKind: draft.discountKind,
      ...discount,
      minOrderAmount: within(draft.minOrderAmount, [discount.minOrderAmount, mostOrder]),
      endsAt: endWithin(draft.endsAt, limits),
      perMemberLimit,
      suggestedCount: within(draft.suggestedCount ?? most, [1, most]),
    },
  };
}

const keyOf = ({ discountKind, discountValue, minOrderAmount }: Terms): string =>
  `${discountKind} ${discountValue} ${minOrderAmount}`;

export const termsOf = (offers: readonly Terms[]): Limits['run'] => new Set(offers.map(keyOf));

/** Whether a pool that can still be claimed or opened makes this offer already. */
export const isRun = (offer: Terms, { run }: Limits): boolean => run.has(keyOf(offer));
