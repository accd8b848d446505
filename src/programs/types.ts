import type { Program, Scope, SecretKey, Tier } from '../generated/prisma/client.ts';
import type { MemberId, ProgramId, SecretKeyId } from '../kernel/ids.ts';

export type { Program, Scope, SecretKey, Tier };

/** Who sent a request, as proved by its credential. */
export type Caller =
  | { kind: 'root' }
  | { kind: 'key'; programId: ProgramId; keyId: SecretKeyId; scopes: ReadonlySet<Scope> }
  | { kind: 'member'; programId: ProgramId; memberId: MemberId };

/**
 * What a client may say about the settings. Left out: kept. Null: removed, where that is possible.
 */
export type SettingsInput = {
  baseRate?: string | null;
  minAmount?: number | null;
  dailyCap?: number | null;
  expiryMonths?: number | null;
  maturityDays?: number | null;
  graceDays?: number | null;
  graceWarningDays?: readonly number[] | null;
  reupgradeBonus?: number | null;
  reupgradeWindowMonths?: number | null;
  birthdayBonus?: number | null;
  reengagementBonus?: number | null;
  inactiveDays?: number | null;
  pointValue?: string | null;
  spendOrder?: Program['spendOrder'] | null;
  maxDiscountRate?: number | null;
  maxBackdateDays?: number | null;
};

/**
 * A rank of the ladder; its position in the list is its rank. Points are whole, the multiplier bp.
 */
export type TierInput = {
  name: string;
  qualifyPoints: number;
  maintainPoints: number;
  multiplier: number;
};

export type ProgramInput = {
  name: string;
  currency: string;
  timeZone: string;
  sandbox: boolean;
  clock?: Date | null;
  settings?: SettingsInput | null;
  tiers?: readonly TierInput[] | null;
};
