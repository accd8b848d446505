import { setImmediate } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { type BatchId, type JobId, newId, type PoolId, type ProgramId } from '../kernel/ids.ts';
import { appendEvent } from '../kernel/outbox.ts';
import { removeCodes } from './cancel-code-job.ts';
import { drawTexts } from './code-text.ts';
import { mint } from './generate-codes.ts';
import {
  lockForCodes,
  MAX_BATCH,
  openBatch,
  type PreparedCode,
  prepareCodes,
  storeCodes,
  takesCodes,
} from './store-batch.ts';
import type { CodeJob, JobRef, JobStatus } from './types.ts';

// Drawn and sealed without a pause: some milliseconds for which the process hears nobody.
const CHUNK = 250;

/** `batchSize`: how many codes one transaction stores. */
type Run = JobRef & { mayGoOn(): boolean; batchSize?: number };

/**
 * Goes on with a job where it stands, batch by batch, until it is done or may not go on; of one
 * that was given up it removes the codes. Killed anywhere, it has done whole batches. The next
 * batch is drawn and sealed while the database stores the last one, so the locks of a batch are
 * held for no longer than that takes. Answers whether nothing is left to do.
 *
 * Locks: POOL shared, CODE_SPACE, the job's row; for each batch anew.
 * Refusals: none. A job whose pool was archived FAILS.
 * A retry goes on; two at once hinder, but do not harm each other.
 * Events: pool.codes_added, once, when the job is sealed.
 */
export async function runCodeJob(
  deps: Deps,
  { mayGoOn, batchSize, ...ref }: Run,
): Promise<boolean> {
  let job = await findJob(deps, ref);
  let drawing = drawAhead(deps, { job, batchSize });
  while (job.status === 'RUNNING' && mayGoOn()) {
    const drawn = await drawing;
    const done = job.done + drawn.codes.length;
    const ahead = drawAhead(deps, { job: { ...job, done }, batchSize });
    await inTransaction(deps, (tx) => storeBatch(tx, { deps, job, drawn }));
    job = await findJob(deps, ref);
    drawing = job.done === done ? ahead : drawAhead(deps, { job, batchSize });
  }
  if (job.status === 'RUNNING') return false;
  return job.status === 'SEALED' || removeCodes(deps, { job, mayGoOn });
}

const findJob = (deps: Deps, { programId, jobId }: JobRef): Promise<CodeJob> =>
  deps.db.codeJob.findUniqueOrThrow({ where: { programId_id: { programId, id: jobId } } });

const placeOf = (job: CodeJob) => ({
  programId: job.programId as ProgramId,
  poolId: job.poolId as PoolId,
});

type Draw = { job: CodeJob; batchSize: number | undefined };
type Drawn = { batchId: BatchId; prefix: string; codes: PreparedCode[] };

/** Waited for in the next round, if there is one. */
function drawAhead(deps: Deps, of: Draw): Promise<Drawn> {
  const drawing = draw(deps, of);
  drawing.catch(() => {});
  return drawing;
}

/** The next batch of a job, ready to be stored. */
async function draw(deps: Deps, { job, batchSize = MAX_BATCH }: Draw): Promise<Drawn> {
  const { programId, poolId } = placeOf(job);
  const { prefix } = await deps.db.pool.findUniqueOrThrow({
    where: { programId_id: { programId, id: poolId } },
  });
  const size = job.status === 'RUNNING' ? Math.min(batchSize, job.count - job.done) : 0;
  const codes: PreparedCode[] = [];
  while (codes.length < size) {
    const texts = drawTexts(deps.random, { prefix, count: Math.min(CHUNK, size - codes.length) });
    codes.push(...prepareCodes(deps, { programId, poolId, prefix, texts }));
    await setImmediate();
  }
  return { batchId: newId<BatchId>(deps), prefix, codes };
}

type Store = { deps: Deps; job: CodeJob; drawn: Drawn };

/** One batch, the progress and, with the last one, the seal: all of it or nothing. */
async function storeBatch(tx: Tx, { deps, job, drawn }: Store): Promise<void> {
  const { batchId, prefix, codes } = drawn;
  const of = { ...placeOf(job), batchId };
  const pool = await lockForCodes(tx, of);
  const done = job.done + codes.length;
  const sealed: JobStatus = done === job.count ? 'SEALED' : 'RUNNING';
  const to = takesCodes(pool) ? { done, status: sealed } : { status: 'FAILED' as JobStatus };
  if (!(await advance(tx, { job, to })) || to.status === 'FAILED') return;
  const { lookupKeys } = deps.config;
  const jobId = job.id as JobId;
  await openBatch(tx, { ...of, count: codes.length, prefix, lookupKeys, topUp: false, jobId });
  const known = await storeCodes(tx, { ...of, codes });
  await mint(tx, { deps, batchId, pool, count: known.length });
  if (to.status !== 'SEALED') return;
  const data = { poolId: job.poolId, jobId, count: job.count };
  await appendEvent(tx, { programId: job.programId, type: 'pool.codes_added', data });
}

type Advance = { job: CodeJob; to: { done?: number; status: JobStatus } };

/** False when somebody else has gone on with the job, or it was given up. */
async function advance(tx: Tx, { job, to }: Advance): Promise<boolean> {
  const { programId, id, done } = job;
  const { count } = await tx.codeJob.updateMany({
    where: { programId, id, done, status: 'RUNNING' },
    data: to,
  });
  return count === 1;
}

/** The jobs that somebody should go on with: they run, or their codes are to be removed. */
export async function openCodeJobs(deps: Deps): Promise<JobRef[]> {
  return deps.db.$queryRaw<JobRef[]>`
    SELECT j.program_id::text AS "programId", j.id::text AS "jobId" FROM code_jobs j
    WHERE j.status = 'RUNNING' OR (j.status <> 'SEALED' AND EXISTS (
      SELECT FROM code_batches b WHERE b.program_id = j.program_id AND b.job_id = j.id))
    ORDER BY j.id`;
}
