import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { conflict, notFound } from '../kernel/errors.ts';
import { wakeFleet } from '../kernel/wake-up.ts';
import { CODE_JOB, type CodeJob, type JobRef } from './types.ts';

// A job that was cancelled soon is gone when the call answers; the fleet removes the rest.
const PATIENCE_MS = 3_000;

/**
 * Gives up a job: none of its codes will ever count. What it has made is removed, and until then
 * its pool cannot be activated.
 *
 * Locks: the job's row, so it waits for the batch that is being stored.
 * Refusals: none; CONFLICT for a job that is SEALED or FAILED, NOT_FOUND.
 * A retry returns the job as the first call left it.
 * Events: none.
 */
export async function cancelCodeJob(deps: Deps, { programId, jobId: id }: JobRef) {
  const where = { programId_id: { programId, id } };
  const job = await inTransaction(deps, async (tx) => {
    const { count } = await tx.codeJob.updateMany({
      where: { programId, id, status: 'RUNNING' },
      data: { status: 'CANCELLED' },
    });
    const found = await tx.codeJob.findUnique({ where });
    if (!found) throw notFound('id', 'job');
    if (found.status !== 'CANCELLED') throw conflict(`id: a job that is ${found.status} stays so`);
    if (count === 1) await wakeFleet(tx, { task: CODE_JOB, programId, id });
    return found;
  });
  const giveUpAt = performance.now() + PATIENCE_MS;
  await removeCodes(deps, { job, mayGoOn: () => performance.now() < giveUpAt });
  return job;
}

type Remove = { job: CodeJob; mayGoOn(): boolean };

/**
 * Removes the codes of a job that was given up, a batch at a time. Answers whether none are left.
 */
export async function removeCodes(deps: Deps, { job, mayGoOn }: Remove): Promise<boolean> {
  const { programId, id: jobId } = job;
  while (mayGoOn()) {
    const batch = await deps.db.codeBatch.findFirst({ where: { programId, jobId } });
    if (!batch) return true;
    await inTransaction(deps, async (tx) => {
      await tx.code.deleteMany({ where: { programId, batchId: batch.id } });
      await tx.codeBatch.deleteMany({ where: { programId, id: batch.id } });
    });
  }
  return false;
}
