import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Deps } from '../deps.ts';
import { traced } from '../kernel/trace.ts';
import type { Task, WorkerRun } from './task.ts';

type FleetMetrics = ReturnType<typeof register>;

const registered = new WeakMap<Registry, FleetMetrics>();

/**
 * The runs of this process, and what any process can say of the whole fleet: the queue and the open
 * failures are read when somebody asks.
 */
export function fleetMetrics(deps: Deps): FleetMetrics {
  const metrics = registered.get(deps.metrics) ?? register(deps);
  registered.set(deps.metrics, metrics);
  return metrics;
}

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

type Watched = { name: string; help: string; of(queue: Queue): number };

/** A database that is away must not take the other numbers with it. */
function watchQueue(deps: Deps): void {
  const watched: Watched[] = [
    {
      name: 'flash_queue_jobs',
      help: 'Jobs that wait and could run now',
      of: ({ jobs }) => Number(jobs),
    },
    {
      name: 'flash_queue_oldest_job_seconds',
      help: 'For how long the oldest of them has waited',
      of: ({ age }) => age,
    },
  ];
  for (const { name, help, of } of watched) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers: [deps.metrics],
      collect: async () => gauge.set(await readQueue(deps).then(of, () => Number.NaN)),
    });
  }
}

function watchFailures({ db, metrics }: Deps): void {
  const read = async () => {
    const where = { resolvedAt: null };
    return db.workerFailure.groupBy({ by: ['task'], where, _count: true });
  };
  const open: Gauge<'task'> = new Gauge({
    name: 'flash_worker_open_failures',
    help: 'Members for whom a task has failed and not succeeded since',
    labelNames: ['task'] as const,
    registers: [metrics],
    collect: async () => {
      const counts = await read().catch(() => []);
      open.reset();
      for (const { task, _count } of counts) open.set({ task }, _count);
    },
  });
}

/** The same task, with a line in the log, numbers and a span for each run. */
export const measured = (task: Task): Task => ({
  ...task,
  run: async (deps, of) => {
    const began = performance.now();
    const about = { programId: of.programId, day: of.day };
    const run = await traced(`task ${task.task}`, about, () => task.run(deps, of));
    observe(deps, { run, seconds: (performance.now() - began) / 1000 });
    const { failures, ...counts } = run;
    const members = failures.map(({ memberId }) => memberId);
    deps.log.info({ ...about, ...counts, ...(run.failed && { members }) }, 'task done');
    return run;
  },
});

function observe(deps: Deps, { run, seconds }: { run: WorkerRun; seconds: number }): void {
  const { task } = run;
  const metrics = fleetMetrics(deps);
  metrics.runs.inc({ task });
  metrics.seconds.observe({ task }, seconds);
  metrics.changed.inc({ task }, run.changed);
  metrics.failures.inc({ task }, run.failed);
}
