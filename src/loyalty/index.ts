export type { Award, Awarded } from './award-points.ts';
export { birthdayBonusTask, reengagementBonusTask } from './bonuses.ts';
export { awardPoints } from './counted-award.ts';
export { evaluateTiersTask } from './evaluate-tiers.ts';
export { expirePointsTask } from './expire-points.ts';
export { grantPoints } from './grant-points.ts';
export { type LedgerQueues, openLedgerQueues } from './hot-queues.ts';
export { ledgerMetrics } from './metrics.ts';
export {
  drawsOfSpends,
  type Liability,
  listEntries,
  listLots,
  lotsByIds,
  type PointsOf,
  pointsLiability,
  pointsOfMembers,
  type Quote,
  quotePoints,
} from './queries.ts';
export { type Difference, reconcilePoints } from './reconcile.ts';
export { refundSpend } from './refund-spend.ts';
export { type Reversal, type Reverse, reverseAward } from './reverse-award.ts';
export { type SpendPoints, type Spent, spendPoints } from './spend-points.ts';
export {
  earned12Months,
  type HistoryPage,
  type TierStep,
  tierHistories,
} from './tier-queries.ts';
export type {
  ConsumptionAllocation,
  LedgerBatch,
  LedgerEntry,
  LoyaltyRefusal,
  MemberRef,
  Refused,
  Spend,
} from './types.ts';
