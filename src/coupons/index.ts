export { cancelCodeJob } from './cancel-code-job.ts';
export { activatePool, archivePool, pausePool, resumePool } from './change-status.ts';
export { type Claim, type Claimed, claimCode } from './claim-code.ts';
export { createPool } from './create-pool.ts';
export { generateCodes } from './generate-codes.ts';
export { generateCodesJob } from './generate-codes-job.ts';
export { type CouponQueues, openCouponQueues } from './hot-queues.ts';
export { importCodes } from './import-codes.ts';
export { type ImportReport, importCsv } from './import-csv.ts';
export type { ImportConflict, ImportProblem } from './import-rows.ts';
export type { PoolInput } from './pool-input.ts';
export {
  batchesByIds,
  codeById,
  codeJobById,
  codesByIds,
  countCodes,
  findCode,
  listCodes,
  listConflicts,
  listPools,
  type PoolStats,
  poolsByIds,
  redemptionsOfCodes,
  redemptionsOfOrder,
  statsOfPools,
  walletsOf,
} from './queries.ts';
export { reconcileCodes } from './reconcile.ts';
export { type Redeem, type Redeemed, redeemCode } from './redeem-code.ts';
export { anyReservationRunOut, releaseReservations } from './release-reservations.ts';
export {
  type Release,
  type Reserve,
  type Reserved,
  releaseCode,
  reserveCode,
} from './reserve-code.ts';
export { revealCodes } from './reveal-codes.ts';
export { revokeCode } from './revoke-code.ts';
export { type RevokeCodes, type RevokedCodes, revokeCodes } from './revoke-codes.ts';
export { type KeyRotation, rotateKeys } from './rotate-keys.ts';
export { openCodeJobs, runCodeJob } from './run-code-job.ts';
export { type CodeRow, toCode } from './sql/code-row.ts';
export { poolsRunningLow, topUpPool } from './top-up-pool.ts';
export {
  type Actor,
  type Asker,
  CODE_JOB,
  type Code,
  type CodeBatch,
  type CodeJob,
  type CodeStatus,
  type CouponRefusal,
  type JobRef,
  type Pool,
  type PoolRef,
  type PoolStatus,
  type Redemption,
  type Refused,
} from './types.ts';
export { updatePool } from './update-pool.ts';
export { voidRedemption } from './void-redemption.ts';
