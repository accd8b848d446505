/**
 * What every member's points must be, worked out from the file alone: the plain ledger of the tests
 * lives through the same days, one for each member, and decides by itself what is spent.
 */
import { localDays } from '../../test/support/local-days.ts';
import type { Terms } from '../../test/support/oracle.ts';
import { TiersOracle, type TierTerms } from '../../test/support/tiers-oracle.ts';
import type { Purchase } from './cdnow.ts';
import {
  atHour,
  LADDER,
  type Plan,
  SETTINGS,
  SOURCE,
  SPEND,
  spendKey,
  TIME_ZONE,
  type Visit,
  visitsOf,
} from './plan.ts';

const days = localDays(TIME_ZONE);
const terms: Terms = {
  minAmount: 0,
  rate: Number(SETTINGS.baseRate) * 1_000_000,
  digits: 2,
  cap: SETTINGS.dailyCap,
  expiryMonths: SETTINGS.expiryMonths,
  maturityDays: 0,
  backdateDays: 60,
  earliestExpiry: false,
};

const tiers: TierTerms = {
  ladder: LADDER.map(({ qualifyPoints, maintainPoints, multiplier }) => ({
    ...{ qualify: qualifyPoints, maintain: maintainPoints, multiplier },
  })),
  graceDays: SETTINGS.graceDays,
  warningDays: SETTINGS.graceWarningDays,
  reupgradeBonus: SETTINGS.reupgradeBonus,
  reupgradeWindowMonths: SETTINGS.reupgradeWindowMonths,
  ...{ birthdayBonus: 0, reengagementBonus: 0, inactiveDays: 90 },
};

/** The ledgers by the shop's own ids, as they stand when the last day is over. */
export function expectPoints(plan: Plan): Map<string, TiersOracle> {
  const noon = (day: string) => Date.parse(atHour(day, '12'));
  const begin = Date.parse(atHour(plan.days[0] as string, '00'));
  const ledgers = new Map<string, TiersOracle>();
  for (const id of plan.customers) {
    const holders = [{ id, multiplier: 10_000, debt: 0 }];
    ledgers.set(id, new TiersOracle({ now: begin, terms, tiers, days, holders }));
  }
  for (const [day, visits] of visitsOf(plan)) {
    const now = noon(day);
    for (const visit of visits) live(ledgers.get(visit.customer) as TiersOracle, { visit, now });
  }
  for (const ledger of ledgers.values()) ledger.advance(noon(plan.days.at(-1) as string));
  return ledgers;
}

function live(ledger: TiersOracle, { visit, now }: { visit: Visit; now: number }): void {
  ledger.advance(now);
  for (const refund of visit.refunds)
    ledger.reverse({ id: refund.orderId, ...orderOf(refund), amount: refund.cents });
  const member = visit.customer;
  for (const purchase of visit.purchases) {
    ledger.award({ member, ...orderOf(purchase), amount: purchase.cents });
    for (let n = 1; ledger.balance(member) >= SPEND.from; n++)
      ledger.spend({ member, points: SPEND.points, key: spendKey(purchase, n) });
  }
}

const orderOf = ({ orderId }: Purchase) => ({ source: SOURCE, order: orderId, generation: 1 });
