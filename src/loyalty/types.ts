import { badInput } from '../kernel/errors.ts';
import type { MemberId, ProgramId } from '../kernel/ids.ts';

export type {
  ConsumptionAllocation,
  LedgerBatch,
  LedgerEntry,
  PointsSource,
  PurchaseRefund,
  Spend,
  TierChange,
} from '../generated/prisma/client.ts';

/** What this room refuses for a business reason. The GraphQL layer maps each to its message. */
export type LoyaltyRefusal = 'INSUFFICIENT_POINTS' | 'CAP_TRACKER_UNAVAILABLE' | 'BUSY';

export type Refused = { ok: false; reason: LoyaltyRefusal };

/** Where points of a purchase come from; each source has order ids of its own. */
export const PURCHASES = ['RECEIPT', 'SHOPIFY', 'MARKETPLACE'] as const;
export type PurchaseSource = (typeof PURCHASES)[number];

export type MemberRef = { programId: ProgramId; memberId: MemberId };

/** What receipt_points answers when a purchase is worth 10^12 points or more: SQLSTATE 22003. */
export const OUT_OF_RANGE = '22003';
export const tooMany = (field: string) =>
  badInput(field, 'an amount worth fewer than 1,000,000,000,000 points');
