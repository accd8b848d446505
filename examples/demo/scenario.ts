/** The demo's story, told through the public API alone. */
import { type Api, forEach } from './api.ts';
import { customersOf, dayAfter, daysBetween, firstPurchases, type Purchase } from './cdnow.ts';
import * as ask from './operations.ts';

/** Where the shop was; the clocks change twice in its record. */
export const TIME_ZONE = 'America/New_York';
const MIN_ORDER_CENTS = 500;
const DISCOUNT_BASIS_POINTS = 1_000;
const SPARE_CODES = 1_456;
const BATCH = 5_000;

export type Plan = {
  purchases: readonly Purchase[];
  customers: readonly string[];
  /** Every day that the clock passes, with a purchase or without. */
  days: readonly string[];
  /** What is to be redeemed: the first large enough purchase of each customer in these days. */
  orders: readonly Purchase[];
  codes: number;
  batch: number;
};

export type PlanSize = {
  /** Only the first so many customers of the file. */
  customers?: number | undefined;
  /** Only so many days from the first on. */
  days?: number | undefined;
  batch?: number;
};

/** The whole record with 25,000 codes, or its beginning with as many to spare. */
export function planOf(purchases: readonly Purchase[], size: PlanSize = {}): Plan {
  const chosen = new Set(customersOf(purchases).slice(0, size.customers));
  const dates = purchases.map(({ date }) => date).sort();
  const [first = ''] = dates;
  const end = size.days === undefined ? dates.at(-1) : dayAfter(first, size.days - 1);
  const days = daysBetween(first, end ?? '');
  const last = days.at(-1) ?? '';
  const kept = purchases.filter(({ customer, date }) => chosen.has(customer) && date <= last);
  return {
    purchases: kept,
    customers: [...chosen],
    days,
    orders: firstPurchases(kept, MIN_ORDER_CENTS),
    codes: chosen.size + SPARE_CODES,
    batch: size.batch ?? BATCH,
  };
}

/** Somebody who shows how far a step has come. */
export type Progress = {
  step(title: string, total: number): { tick(count?: number): void; end(): void };
};

export type Played = {
  programId: string;
  stats: ask.PoolStats;
  /** As the API answered them, one for each redemption. */
  redemptions: { orderId: string; orderAmount: number; discountAmount: number }[];
};

type Stage = { shop: Api; plan: Plan; progress: Progress };

/** `root` is the API with the root key, which makes the program and then goes no further. */
export async function play(root: Api, { plan, progress }: Omit<Stage, 'shop'>): Promise<Played> {
  const { createProgram } = await root.call(ask.createProgram, {
    input: {
      name: 'CDNOW',
      currency: 'USD',
      timeZone: TIME_ZONE,
      sandbox: true,
      clock: atHour(plan.days[0] as string, '00'),
    },
  });
  const stage = { shop: root.as(createProgram.secretKey), plan, progress };
  const members = await addMembers(stage);
  const poolId = await openPool(stage);
  const codes = await claimAll(stage, { poolId, members });
  const redemptions = await liveThrough(stage, { members, codes });
  const { pool } = await stage.shop.call(ask.poolStats, { id: poolId });
  if (!pool) throw new Error('the pool is gone');
  return { programId: createProgram.program.id, stats: pool.stats, redemptions };
}

/** Members' ids by the shop's own ids. */
async function addMembers({ shop, plan, progress }: Stage): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  const bar = progress.step('Members', plan.customers.length);
  await forEach(plan.customers, async (externalId) => {
    const { upsertMember } = await shop.call(ask.upsertMember, { input: { externalId } });
    ids.set(externalId, upsertMember.id);
    bar.tick();
  }).finally(bar.end);
  return ids;
}

async function openPool({ shop, plan, progress }: Stage): Promise<string> {
  const { createPool } = await shop.call(ask.createPool, {
    input: {
      name: '10 % off the first order',
      discountKind: 'PERCENT',
      discountValue: DISCOUNT_BASIS_POINTS,
      minOrderAmount: MIN_ORDER_CENTS,
    },
  });
  const poolId = createPool.id;
  const bar = progress.step('Codes', plan.codes);
  try {
    for (let made = 0; made < plan.codes; made += plan.batch) {
      const count = Math.min(plan.batch, plan.codes - made);
      await shop.call(ask.generateCodes, { poolId, count, idempotencyKey: `codes from ${made}` });
      bar.tick(count);
    }
  } finally {
    bar.end();
  }
  await shop.call(ask.activatePool, { id: poolId });
  return poolId;
}

type Claiming = { poolId: string; members: ReadonlyMap<string, string> };

/** The codes' texts by the shop's own ids: the merchant's server hands them out, and logs none. */
async function claimAll(stage: Stage, of: Claiming): Promise<Map<string, string>> {
  const { shop, plan, progress } = stage;
  const codes = new Map<string, string>();
  const bar = progress.step('Claims', plan.customers.length);
  await forEach(plan.customers, async (customer) => {
    const memberId = of.members.get(customer) as string;
    const input = { poolId: of.poolId, memberId };
    const { claimCode: answer } = await shop.call(ask.claimCode, { input });
    if (answer.__typename === 'Refusal') throw refused('claim', customer, answer);
    codes.set(customer, answer.plaintext);
    bar.tick();
  }).finally(bar.end);
  return codes;
}

type Holders = { members: ReadonlyMap<string, string>; codes: ReadonlyMap<string, string> };

/** Day by day: the clock goes to noon, and then everything that was bought on that day happens. */
async function liveThrough(stage: Stage, holders: Holders): Promise<Played['redemptions']> {
  const { shop, plan, progress } = stage;
  const byDay = ordersByDay(plan.orders);
  const redemptions: Played['redemptions'] = [];
  const bar = progress.step('Redemptions', plan.orders.length);
  try {
    for (const day of plan.days) {
      await shop.call(ask.advanceClock, { to: atHour(day, '12') });
      await forEach(byDay.get(day) ?? [], async (order) => {
        redemptions.push(await redeem(shop, { order, holders }));
        bar.tick();
      });
    }
  } finally {
    bar.end();
  }
  return redemptions;
}

function ordersByDay(orders: readonly Purchase[]): Map<string, Purchase[]> {
  const byDay = new Map<string, Purchase[]>();
  for (const order of orders) byDay.set(order.date, [...(byDay.get(order.date) ?? []), order]);
  return byDay;
}

async function redeem(shop: Api, { order, holders }: { order: Purchase; holders: Holders }) {
  const { redeemCode: answer } = await shop.call(ask.redeemCode, {
    input: {
      code: holders.codes.get(order.customer) as string,
      memberId: holders.members.get(order.customer) as string,
      orderId: order.orderId,
      orderAmount: order.cents,
    },
  });
  if (answer.__typename === 'Refusal') throw refused('redemption', order.orderId, answer);
  return answer.redemption;
}

const refused = (what: string, whose: string, { reason, message }: ask.Refusal): Error =>
  new Error(`the ${what} of ${whose} was refused, ${reason}: ${message}`);

/** With the shop's offset on that day, which is not the same in winter and in summer. */
export function atHour(date: string, hour: string): string {
  const zone = new Intl.DateTimeFormat('en-US', { timeZone: TIME_ZONE, timeZoneName: 'longOffset' })
    .formatToParts(new Date(`${date}T12:00:00Z`))
    .find(({ type }) => type === 'timeZoneName');
  return `${date}T${hour}:00:00${zone?.value.replace('GMT', '')}`;
}
