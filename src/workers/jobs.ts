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
import { eraseOldSecrets } from '../webhooks/index.ts';
import { background, wakeBackground, workOn } from './background.ts';
import { retryFailures, workDays } from './daily-work.ts';
import { atWork, WORK } from './lease.ts';
import { runWorker } from './run-worker.ts';

export type JobOf = {
  programId: ProgramId | undefined;
  /** The row that it is about. */
  id?: string | undefined;
  /** The longest that it may take without giving its place to others. */
  sliceMs?: number;
  signal: AbortSignal;
};
export type Job = { everyMinute?: true; run(deps: Deps, of: JobOf): Promise<void> };

export const jobs: Record<string, Job> = {
  wake_programs: { everyMinute: true, run: wakePrograms },
  work_program: { run: workProgram },
  top_up_pools: { everyMinute: true, run: topUpAll },
  erase_old_secrets: { everyMinute: true, run: eraseOldSecrets },
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

const SLICE_MS = 10_000;
const SLICE_OVER = new Error('the next slice goes on');

/**
 * The days of a live program that have begun; of any, the members whose next attempt is due. In
 * slices, as all long work: between two of them the queue comes to the other programs.
 */
async function workProgram(deps: Deps, of: JobOf): Promise<void> {
  const { programId, signal, sliceMs = SLICE_MS } = of;
  if (!programId) throw new Error('a job of no program');
  const end = performance.now() + sliceMs;
  const done = await atWork(deps, { programId, signal }, async (assertHeld) => {
    const mayGoOn = () => {
      assertHeld();
      if (performance.now() > end) throw SLICE_OVER;
    };
    return workSlice(deps, { programId, mayGoOn }).catch((error: unknown) => {
      if (error !== SLICE_OVER) throw error;
      return SLICE_OVER;
    });
  });
  if (done?.result === SLICE_OVER) await wake(deps, { programId, at: deps.clock.now() });
  if (done) return;
  const at = (await leaseEnd(deps, { programId, name: WORK })) ?? deps.clock.now();
  await wake(deps, { programId, at });
}

type Slice = { programId: ProgramId; mayGoOn(): void };

/** A slice tries nobody again whom the one before it has tried. */
async function workSlice(deps: Deps, { programId, mayGoOn }: Slice): Promise<void> {
  const { sandbox } = await getProgram(deps, { programId });
  const until = await programNow(deps, { programId });
  const begin = async () => {};
  const dueBy = deps.clock.now();
  if (!sandbox) await workDays(deps, { programId, until, mayGoOn, dueBy, begin });
  await retryFailures(deps, { programId, mayGoOn });
  await deps.db.$executeRaw`SELECT set_next_due(${programId}::uuid)`;
}

/** Of the programs where it has failed only those whose next attempt is due. */
async function topUpAll(deps: Deps): Promise<void> {
  const task = 'TOP_UP_POOLS';
  const low = await poolsRunningLow(deps);
  const waiting = await deps.db.workerFailure.findMany({
    where: { task, resolvedAt: null, nextAttemptAt: { gt: deps.clock.now() } },
    select: { programId: true },
  });
  const programs = new Set(low.map((pool) => pool.programId));
  for (const { programId } of waiting) programs.delete(programId as ProgramId);
  for (const programId of programs) await runWorker(deps, { programId, task });
}
