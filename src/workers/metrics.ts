import { Counter, Histogram } from 'prom-client';
import type { Deps } from '../deps.ts';
import type { WorkerTask } from '../generated/prisma/client.ts';
import { registeredOnce, watchCounts, watchNumber } from '../kernel/metrics.ts';
import { traced } from '../kernel/trace.ts';
import { emptyRun, type RunOf, type Task, type WorkerRun } from './task.ts';

/**
 * The runs of this process, and what any process can say of the whole fleet: the queue and the open
 * failures are read when somebody asks.
 */
export const fleetMetrics = registeredOnce(register);

function register(deps: Deps) {
  const labelNames = ['task'] as const;
  const registers = [deps.metrics];
  const counter = (name: string, help: string) =>
    new Counter({ name, help, labelNames, registers });
  watchQueue(deps);
  watchFailures(deps);
  return {
    runs: counter('flash_worker_runs_total', 'Runs of a task for a program and a day'),
    changed: counter('flash_worker_changed_total', 'For how many runs changed something'),
    failures: counter('flash_worker_failures_total', 'For how many runs failed, each time'),
    jobs: new Counter({
      name: 'flash_worker_jobs_total',
      help: 'Jobs of the queue by how they ended: done or failed',
      labelNames: ['job', 'outcome'] as const,
      registers,
    }),
    seconds: new Histogram({
      name: 'flash_worker_run_seconds',
      help: 'Time of a run',
      labelNames,
      buckets: [0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 1800],
      registers,
    }),
  };
}

type Queue = { jobs: bigint; age: number };

/** Nothing of it while no worker has ever run here. */
async function readQueue({ db, clock }: Deps): Promise<Queue> {
  const [queue] = await db.$queryRaw<{ made: boolean }[]>`
    SELECT to_regclass('graphile_worker.jobs') IS NOT NULL AS made`;
  if (!queue?.made) return { jobs: 0n, age: 0 };
  const now = clock.now();
  const [row] = await db.$queryRaw<Queue[]>`
    SELECT count(*) AS jobs,
      coalesce(extract(epoch FROM ${now}::timestamptz - min(run_at)), 0)::float8 AS age
    FROM graphile_worker.jobs
    WHERE locked_at IS NULL AND run_at <= ${now}::timestamptz AND attempts < max_attempts`;
  return row as Queue;
}

function watchQueue(deps: Deps): void {
  watchNumber(deps, {
    name: 'flash_queue_jobs',
    help: 'Jobs that wait and could run now',
    read: async () => Number((await readQueue(deps)).jobs),
  });
  watchNumber(deps, {
    name: 'flash_queue_oldest_job_seconds',
    help: 'For how long the oldest of them has waited',
    read: async () => (await readQueue(deps)).age,
  });
}

function watchFailures(deps: Deps): void {
  watchCounts(deps, {
    name: 'flash_worker_open_failures',
    help: 'Members for whom a task has failed and not succeeded since',
    label: 'task',
    read: async () => {
      const where = { resolvedAt: null };
      const rows = await deps.db.workerFailure.groupBy({ by: ['task'], where, _count: true });
      return new Map(rows.map(({ task, _count }) => [task, _count]));
    },
  });
}

/** The same task, with a line in the log, numbers and a span for each run, and each further try. */
export const measured = (task: Task): Task => ({
  ...task,
  run: measuredRun(task.task, task.run),
  retry: measuredRun(task.task, task.retry),
});

/** Where nobody's next attempt is due there is no run. */
function measuredRun<T extends WorkerRun | undefined>(
  name: WorkerTask,
  call: (deps: Deps, of: RunOf) => Promise<T>,
) {
  return async (deps: Deps, of: RunOf): Promise<T> => {
    const began = performance.now();
    const about = { programId: of.programId, day: of.day };
    const into = emptyRun(name);
    const say = (run: WorkerRun, message: string) => {
      observe(deps, { run, seconds: (performance.now() - began) / 1000 });
      const { failures, ...counts } = run;
      const members = failures.map(({ memberId }) => memberId);
      deps.log.info({ ...about, ...counts, ...(run.failed && { members }) }, message);
    };
    try {
      const run = await traced(`task ${name}`, about, () => call(deps, { ...of, into }));
      if (run) say(run, 'task done');
      return run;
    } catch (error) {
      say(into, 'task stopped');
      throw error;
    }
  };
}

type JobRun = { job: string; programId: string | undefined; work: () => Promise<void> };

/** A job of the queue, counted by how it ended and within a span of its own. */
export async function measuredJob(deps: Deps, { job, programId, work }: JobRun): Promise<void> {
  const { jobs } = fleetMetrics(deps);
  try {
    await traced(`job ${job}`, programId === undefined ? {} : { programId }, work);
    jobs.inc({ job, outcome: 'done' });
  } catch (error) {
    jobs.inc({ job, outcome: 'failed' });
    throw error;
  }
}

function observe(deps: Deps, { run, seconds }: { run: WorkerRun; seconds: number }): void {
  const { task } = run;
  const metrics = fleetMetrics(deps);
  metrics.runs.inc({ task });
  metrics.seconds.observe({ task }, seconds);
  metrics.changed.inc({ task }, run.changed);
  metrics.failures.inc({ task }, run.failed);
}
