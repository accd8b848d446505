/** What is to happen on which day: the one schedule for the shop and for what is expected of it. */
import { customersOf, dayAfter, daysBetween, firstPurchases, type Purchase } from './cdnow.ts';

/** Where the shop was; the clocks change three times in its record. */
export const TIME_ZONE = 'America/New_York';
export const MIN_ORDER_CENTS = 500;
const SPARE_CODES = 1_456;
const BATCH = 5_000;

/**
 * Low enough for a record shop: what falls below a threshold within the record does so in its last
 * six months, when the many who came once in the first three leave the rolling year.
 */
export const LADDER = [
  { name: 'Member', qualifyPoints: 0, maintainPoints: 0, multiplier: 10_000 },
  { name: 'Silver', qualifyPoints: 50, maintainPoints: 40, multiplier: 12_500 },
  { name: 'Gold', qualifyPoints: 150, maintainPoints: 120, multiplier: 15_000 },
  { name: 'VIP', qualifyPoints: 400, maintainPoints: 320, multiplier: 20_000 },
] as const;

/** The cap bites on one award in a hundred, and withholds three points in a hundred. */
export const SETTINGS = {
  baseRate: '1',
  dailyCap: 300,
  expiryMonths: 9,
  pointValue: '1',
  graceDays: 30,
  graceWarningDays: [14, 3],
  reupgradeBonus: 50,
  reupgradeWindowMonths: 12,
} as const;

/** What a member spends at once, and from which balance on. */
export const SPEND = { points: 100, from: 250 } as const;
/** Where the shop says its purchases come from. */
export const SOURCE = 'RECEIPT';
/** What is refunded in full, and when. */
export const REFUND = { every: 97, afterDays: 3 } as const;

export type Plan = {
  purchases: readonly Purchase[];
  customers: readonly string[];
  /** Every day that the clock passes, until the last refund is made. */
  days: readonly string[];
  /** What is to be redeemed: the first large enough purchase of each customer in these days. */
  orders: readonly Purchase[];
  /** What is given back in full: every so-manyth purchase of the file, with the day of that. */
  refunds: readonly (Purchase & { refundedOn: string })[];
  codes: number;
  batch: number;
};

export type PlanSize = {
  /** Only the first so many customers of the file. */
  customers?: number | undefined;
  /** Only so many days of purchases from the first on. */
  days?: number | undefined;
  batch?: number;
};

/** The whole record with 25,000 codes, or its beginning with as many to spare. */
export function planOf(purchases: readonly Purchase[], size: PlanSize = {}): Plan {
  const chosen = new Set(customersOf(purchases).slice(0, size.customers));
  const dates = purchases.map(({ date }) => date).sort();
  const [first = ''] = dates;
  const last = size.days === undefined ? (dates.at(-1) ?? '') : dayAfter(first, size.days - 1);
  const kept = purchases.filter(({ customer, date }) => chosen.has(customer) && date <= last);
  return {
    purchases: kept,
    customers: [...chosen],
    days: daysBetween(first, dayAfter(last, REFUND.afterDays)),
    orders: firstPurchases(kept, MIN_ORDER_CENTS),
    refunds: refundsOf(kept),
    codes: chosen.size + SPARE_CODES,
    batch: size.batch ?? BATCH,
  };
}

/** A purchase that cost nothing is kept: there is nothing to give back. */
const refundsOf = (purchases: readonly Purchase[]): Plan['refunds'] =>
  purchases
    .filter(({ cents }, index) => index % REFUND.every === REFUND.every - 1 && cents > 0)
    .map((purchase) => ({ ...purchase, refundedOn: dayAfter(purchase.date, REFUND.afterDays) }));

/** What one customer does on one day, in this order. */
export type Visit = {
  customer: string;
  redeemed: Purchase | undefined;
  refunds: Purchase[];
  purchases: Purchase[];
};

/** Each day's visits. */
export function visitsOf(plan: Plan): Map<string, Visit[]> {
  const redeemed = new Set(plan.orders.map(({ orderId }) => orderId));
  const byDay = new Map(plan.days.map((day) => [day, new Map<string, Visit>()]));
  const visit = (day: string, customer: string) => {
    const visits = byDay.get(day) as Map<string, Visit>;
    const none = { customer, redeemed: undefined, refunds: [], purchases: [] };
    const one = visits.get(customer) ?? none;
    visits.set(customer, one);
    return one;
  };
  for (const refund of plan.refunds) visit(refund.refundedOn, refund.customer).refunds.push(refund);
  for (const purchase of plan.purchases) {
    const of = visit(purchase.date, purchase.customer);
    of.purchases.push(purchase);
    if (redeemed.has(purchase.orderId)) of.redeemed = purchase;
  }
  return new Map([...byDay].map(([day, visits]) => [day, [...visits.values()]]));
}

/** The n-th spending that a purchase made possible. */
export const spendKey = ({ orderId }: Purchase, n: number): string => `${orderId}-spend-${n}`;

const zone = new Intl.DateTimeFormat('en-US', { timeZone: TIME_ZONE, timeZoneName: 'longOffset' });

/** With the shop's offset on that day, which is not the same in winter and in summer. */
export function atHour(date: string, hour: string): string {
  const parts = zone.formatToParts(new Date(`${date}T12:00:00Z`));
  const offset = parts.find(({ type }) => type === 'timeZoneName')?.value.replace('GMT', '');
  return `${date}T${hour}:00:00${offset}`;
}
