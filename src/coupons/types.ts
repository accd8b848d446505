import type { JobId, MemberId, PoolId, ProgramId } from '../kernel/ids.ts';

export type {
  Code,
  CodeBatch,
  CodeJob,
  CodeStatus,
  DiscountKind,
  ExhaustionPolicy,
  JobStatus,
  OwnershipConflict,
  Pool,
  PoolStatus,
  Redemption,
} from '../generated/prisma/client.ts';

/** What this room refuses for a business reason. The GraphQL layer maps each to its message. */
export type CouponRefusal =
  | 'POOL_NOT_ISSUING'
  | 'POOL_EXHAUSTED'
  | 'NOT_ELIGIBLE'
  | 'CLAIM_LIMIT_REACHED'
  | 'CODE_NOT_REDEEMABLE'
  | 'CODE_UNKNOWN'
  | 'CODE_NOT_ALLOCATED'
  | 'CODE_ALREADY_REDEEMED'
  | 'CODE_REVOKED'
  | 'CODE_EXPIRED'
  | 'CODE_RESERVED'
  | 'NOT_THE_OWNER'
  | 'BELOW_MINIMUM_ORDER'
  | 'ORDER_ALREADY_DISCOUNTED'
  | 'BUSY';

/**
 * `mistyped`: the code's check character does not fit, so no generated code was ever spelled so.
 */
export type Refused = { ok: false; reason: CouponRefusal; mistyped?: boolean };

/** Who is given a code's text, for the record of readings. */
export type Actor = `key:${string}` | `member:${string}`;

/** Who asks about a code: a member token hears one answer about codes that are not its own. */
export type Asker =
  | { kind: 'merchant'; owner?: MemberId | undefined }
  | { kind: 'member'; memberId: MemberId; address: string };

export type PoolRef = { programId: ProgramId; poolId: PoolId };
export type JobRef = { programId: ProgramId; jobId: JobId };

/** The name of a job in the fleet. */
export const CODE_JOB = 'generate_codes';
