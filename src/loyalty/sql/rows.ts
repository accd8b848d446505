import type { LedgerBatch, PurchaseRefund, Spend } from '../types.ts';

/** Rows as raw SQL answers them, under the database's own column names. */
export type LotRow = {
  program_id: string;
  id: string;
  member_id: string;
  sequence: bigint;
  source: LedgerBatch['source'];
  order_id: string | null;
  generation: number;
  amount: bigint | null;
  requested: bigint;
  points: bigint;
  remaining: bigint;
  drawn: bigint;
  expired: bigint;
  reversed: bigint;
  cancelled: bigint;
  forgone: bigint;
  refunded: bigint;
  zero_reason: LedgerBatch['zeroReason'];
  day: Date;
  cap: bigint | null;
  reason: string | null;
  occasion: string | null;
  earned_at: Date;
  matures_at: Date;
  expires_at: Date | null;
  created_at: Date;
};

export const toLot = (row: LotRow): LedgerBatch => ({
  programId: row.program_id,
  id: row.id,
  memberId: row.member_id,
  sequence: row.sequence,
  source: row.source,
  orderId: row.order_id,
  generation: row.generation,
  amount: row.amount,
  requested: row.requested,
  points: row.points,
  remaining: row.remaining,
  drawn: row.drawn,
  expired: row.expired,
  reversed: row.reversed,
  cancelled: row.cancelled,
  forgone: row.forgone,
  refunded: row.refunded,
  zeroReason: row.zero_reason,
  day: row.day,
  cap: row.cap,
  reason: row.reason,
  occasion: row.occasion,
  earnedAt: row.earned_at,
  maturesAt: row.matures_at,
  expiresAt: row.expires_at,
  createdAt: row.created_at,
});

export type SpendRow = {
  program_id: string;
  id: string;
  member_id: string;
  points: bigint;
  refunded: bigint;
  reason: string | null;
  idempotency_key: string;
  spent_at: Date;
};

export const toSpend = (row: SpendRow): Spend => ({
  programId: row.program_id,
  id: row.id,
  memberId: row.member_id,
  points: row.points,
  refunded: row.refunded,
  reason: row.reason,
  idempotencyKey: row.idempotency_key,
  spentAt: row.spent_at,
});

export type RefundRow = {
  program_id: string;
  id: string;
  source: PurchaseRefund['source'];
  refund_id: string;
  order_id: string;
  generation: number;
  amount: bigint;
  pending: boolean;
  reversed: bigint;
  debt: bigint;
  at: Date;
};
