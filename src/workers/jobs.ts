/**
 * What the queue knows: wake-ups, each of which looks for itself what there is to do. A job of a
 * program has a key, so that there is one; a process that dies with a job in its hands leaves no
 * more behind than that job, and the next minute makes another.
 */
import { poolsRunningLow } from '../coupons/index.ts';
import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { leaseEnd } from '../kernel/lease.ts';
import { getProgram, programNow } from '../programs/index.ts';
import { background, wakeBackground, workOn } from './background.ts';
import { retryFailures, workDays } from './daily-work.ts';
import { atWork, WORK } from './lease.ts';
import { runWorker } from './run-worker.ts';

export type JobOf = {
  programId: ProgramId | undefined;
  /** The row that it is about. */
  id?: string | undefined;
  signal: AbortSignal;
};
export type Job = { everyMinute?: true; run(deps: Deps, of: JobOf): Promise<void> };

export const jobs: Record<string, Job> = {
  wake_programs: { everyMinute: true, run: wakePrograms },
  work_program: { run: workProgram },
  top_up_pools: { everyMinute: true, run: topUpAll },
  wake_background: { everyMinute: true, run: wakeBackground },
  ...Object.fromEntries(Object.keys(background).map((task) => [task, jobOnRow(task)])),
};

function jobOnRow(task: string): Job {
  return {
    run: async (deps, { programId, id, signal }) => {
      if (!programId || !id) throw new Error('a job of nothing');
      await workOn(deps, { task, programId, id, signal });
    },
  };
}

type Wake = { programId: ProgramId; at: Date };

async function wake(deps: Deps, { programId, at }: Wake): Promise<void> {
  await deps.db.$executeRaw`
    SELECT FROM graphile_worker.add_job('work_program', ${JSON.stringify({ programId })}::json,
      run_at := ${at}, job_key := ${`work:${programId}`})`;
}

const DEAD_AFTER_MS = 5 * 60_000;

async function wakePrograms(deps: Deps): Promise<void> {
  const now = deps.clock.now();
  const due = await deps.db.programWork.findMany({ where: { dueAt: { lte: now } } });
  for (const { programId } of due) await wake(deps, { programId: programId as ProgramId, at: now });
  // The queue itself would keep a dead process's jobs for four hours. Should one of them be alive
  // after all, the second copy finds the lease taken.
  const dead = new Date(now.getTime() - DEAD_AFTER_MS);
  await deps.db.$executeRaw`
    SELECT graphile_worker.force_unlock_workers(array_agg(DISTINCT locked_by))
    FROM graphile_worker.jobs WHERE locked_at < ${dead}`;
}

/** The days of a live program that have begun; of any, the members whose next attempt is due. */
async function workProgram(deps: Deps, { programId, signal }: JobOf): Promise<void> {
  if (!programId) throw new Error('a job of no program');
  const done = await atWork(deps, { programId, signal }, async (mayGoOn) => {
    const { sandbox } = await getProgram(deps, { programId });
    const until = await programNow(deps, { programId });
    const begin = async () => {};
    if (!sandbox) await workDays(deps, { programId, until, mayGoOn, begin });
    await retryFailures(deps, { programId, mayGoOn });
    await setNextDue(deps, programId);
  });
  if (done) return;
  const at = (await leaseEnd(deps, { programId, name: WORK })) ?? deps.clock.now();
  await wake(deps, { programId, at });
}

/** The next midnight of a live program, or the next attempt for somebody who failed. */
async function setNextDue(deps: Deps, programId: ProgramId): Promise<void> {
  await deps.db.$executeRaw`
    UPDATE program_work w SET due_at = least(
      (SELECT day_start(p.id, w.day) FROM programs p WHERE p.id = w.program_id AND NOT p.sandbox),
      (SELECT min(f.next_attempt_at) FROM worker_failures f
        WHERE f.program_id = w.program_id AND f.resolved_at IS NULL))
    WHERE w.program_id = ${programId}::uuid`;
}

async function topUpAll(deps: Deps): Promise<void> {
  const low = await poolsRunningLow(deps);
  for (const programId of new Set(low.map((pool) => pool.programId)))
    await runWorker(deps, { programId, task: 'TOP_UP_POOLS' });
}
