/** One pass over the days: the clock moves, and then everybody who comes on that day does. */
import { forEach } from './api.ts';
import type { Purchase } from './cdnow.ts';
import { granted } from './granted.ts';
import * as ask from './operations.ts';
import { atHour, SOURCE, SPEND, spendKey, type Visit, visitsOf } from './plan.ts';
import type { Redemption, Stage } from './scenario.ts';

type Holders = { members: ReadonlyMap<string, string>; codes: ReadonlyMap<string, string> };
type Lived = { redemptions: Redemption[]; capped: number };

/** The clock goes to noon, and then the day's customers come, many at once. */
export async function liveThrough(stage: Stage, holders: Holders): Promise<Lived> {
  const { shop, plan, progress } = stage;
  const lived: Lived = { redemptions: [], capped: 0 };
  const bar = progress.step('Purchases', plan.purchases.length);
  try {
    for (const [day, visits] of visitsOf(plan)) {
      await shop.call(ask.advanceClock, { to: atHour(day, '12') });
      await forEach(visits, async (visit) => {
        const customer = {
          ...{ stage, visit, lived, code: holders.codes.get(visit.customer) as string },
          memberId: holders.members.get(visit.customer) as string,
        };
        await come(customer);
        bar.tick(visit.purchases.length);
      });
    }
  } finally {
    bar.end();
  }
  return lived;
}

type Customer = { stage: Stage; visit: Visit; lived: Lived; memberId: string; code: string };

/** One after the other, so that what becomes of the points does not depend on who was quicker. */
async function come(customer: Customer): Promise<void> {
  const { visit } = customer;
  if (visit.redeemed) await redeem(customer, visit.redeemed);
  for (const refund of visit.refunds) await giveBack(customer, refund);
  for (const purchase of visit.purchases) await buy(customer, purchase);
}

async function redeem({ stage, lived, ...by }: Customer, order: Purchase): Promise<void> {
  const { orderId, cents: orderAmount } = order;
  const input = { code: by.code, memberId: by.memberId, orderId, orderAmount };
  const { redemption } = await granted(`the redemption of ${orderId}`, async () => {
    return (await stage.shop.call(ask.redeemCode, { input })).redeemCode;
  });
  lived.redemptions.push(redemption);
}

async function giveBack({ stage }: Customer, { orderId, cents }: Purchase): Promise<void> {
  const input = { source: SOURCE, orderId, refundId: orderId, amount: cents };
  const { reverseAward } = await stage.shop.call(ask.reverseAward, { input });
  if (reverseAward.pending) throw new Error(`the award of ${orderId} is not there`);
}

/** The award itself answers the balance, and a balance that is high enough is spent. */
async function buy({ stage, lived, memberId }: Customer, purchase: Purchase): Promise<void> {
  const { orderId, cents: amount } = purchase;
  const award = { memberId, source: SOURCE, orderId, amount };
  const { batch, member } = await granted(`the award of ${orderId}`, async () => {
    return (await stage.shop.call(ask.awardPoints, { input: award })).awardPoints;
  });
  lived.capped += batch.requested - batch.points;
  let { balance } = member;
  for (let n = 1; balance >= SPEND.from; n++) {
    const idempotencyKey = spendKey(purchase, n);
    const input = { memberId, points: SPEND.points, idempotencyKey };
    const spent = await granted(`spending after ${orderId}`, async () => {
      return (await stage.shop.call(ask.spendPoints, { input })).spendPoints;
    });
    balance = spent.member.balance;
  }
}
