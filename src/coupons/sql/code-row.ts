import type { Code, CodeStatus, Redemption } from '../../generated/prisma/client.ts';

/** A row of `codes` as raw SQL answers it, under the database's own column names. */
export type CodeRow = {
  program_id: string;
  id: string;
  pool_id: string;
  batch_id: string;
  ciphertext: Uint8Array<ArrayBuffer>;
  key_id: string;
  lookup_hash: Uint8Array<ArrayBuffer>;
  lookup_key_id: string;
  masked: string;
  status: CodeStatus;
  asked_pool_id: string | null;
  claim_key: string | null;
  member_id: string | null;
  owner_match: number | null;
  claim_email: string | null;
  recipient_id: string | null;
  allocated_at: Date | null;
  revealed_at: Date | null;
  reserved_for: string | null;
  reserved_until: Date | null;
  redeemed_at: Date | null;
  revoked_at: Date | null;
  revoke_reason: string | null;
  replaced_by_id: string | null;
  revocation_id: string | null;
};

/** The same row under Prisma's names, so that every part of the engine knows one kind of code. */
export const toCode = (row: CodeRow): Code => ({
  programId: row.program_id,
  id: row.id,
  poolId: row.pool_id,
  batchId: row.batch_id,
  ciphertext: row.ciphertext,
  keyId: row.key_id,
  lookupHash: row.lookup_hash,
  lookupKeyId: row.lookup_key_id,
  masked: row.masked,
  status: row.status,
  askedPoolId: row.asked_pool_id,
  claimKey: row.claim_key,
  memberId: row.member_id,
  ownerMatch: row.owner_match,
  claimEmail: row.claim_email,
  recipientId: row.recipient_id,
  allocatedAt: row.allocated_at,
  revealedAt: row.revealed_at,
  reservedFor: row.reserved_for,
  reservedUntil: row.reserved_until,
  redeemedAt: row.redeemed_at,
  revokedAt: row.revoked_at,
  revokeReason: row.revoke_reason,
  replacedById: row.replaced_by_id,
  revocationId: row.revocation_id,
});

/** A redemption beside its code in one row, where both have a column of the same name. */
export type RedemptionRow = {
  redemption_id: string;
  order_id: string;
  order_amount: bigint;
  discount_amount: bigint;
  stackable: boolean;
  redemption_at: Date;
};

export const toRedemption = (row: RedemptionRow, code: Code): Redemption => ({
  programId: code.programId,
  id: row.redemption_id,
  codeId: code.id,
  orderId: row.order_id,
  orderAmount: row.order_amount,
  discountAmount: row.discount_amount,
  stackable: row.stackable,
  redeemedAt: row.redemption_at,
  voidedAt: null,
  voidReason: null,
});
