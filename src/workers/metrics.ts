import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Deps } from '../deps.ts';
import type { WorkerTask } from '../generated/prisma/client.ts';
import type { Task, WorkerRun } from './task.ts';

type RunMetrics = ReturnType<typeof register>;

const registered = new WeakMap<Registry, RunMetrics>();

function runMetrics(registry: Registry): RunMetrics {
  const metrics = registered.get(registry) ?? register(registry);
  registered.set(registry, metrics);
  return metrics;
}

function register(registry: Registry) {
  const labelNames = ['task'] as const;
  const registers = [registry];
  return {
    runs: new Counter({
      name: 'flash_worker_runs_total',
      help: 'Runs of a task for a program and a day, in this process',
      labelNames,
      registers,
    }),
    seconds: new Histogram({
      name: 'flash_worker_run_seconds',
      help: 'Time of such a run',
      labelNames,
      buckets: [0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 1800],
      registers,
    }),
    changed: new Counter({
      name: 'flash_worker_changed_total',
      help: 'Members (or codes, pools, deliveries) for whom a run changed something',
      labelNames,
      registers,
    }),
    failures: new Counter({
      name: 'flash_worker_failures_total',
      help: 'Members for whom a run failed, each attempt counted',
      labelNames,
      registers,
    }),
  };
}

/** The same task, with a line in the log and numbers for each run. */
export const measured = (task: Task): Task => ({
  ...task,
  run: async (deps, of) => {
    const began = performance.now();
    const run = await task.run(deps, of);
    observe(deps, { run, seconds: (performance.now() - began) / 1000 });
    const { failures, ...counts } = run;
    const members = failures.map(({ memberId }) => memberId);
    const { programId, day } = of;
    deps.log.info({ programId, day, ...counts, ...(run.failed && { members }) }, 'task done');
    return run;
  },
});

function observe(deps: Deps, { run, seconds }: { run: WorkerRun; seconds: number }): void {
  const { task } = run;
  const metrics = runMetrics(deps.metrics);
  metrics.runs.inc({ task });
  metrics.seconds.observe({ task }, seconds);
  metrics.changed.inc({ task }, run.changed);
  metrics.failures.inc({ task }, run.failed);
}

type Queue = { depth: bigint; age: number };
type OpenCount = { task: WorkerTask; count: bigint };

/** What any process can say of the whole fleet, read when it is asked for. */
export function watchFleet({ db, clock, metrics }: Deps): void {
  const registers = [metrics];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const depth = gauge('flash_queue_jobs', 'Jobs that wait and could run now');
  const age = gauge('flash_queue_oldest_job_seconds', 'For how long the oldest of them has waited');
  const open = new Gauge({
    name: 'flash_worker_open_failures',
    help: 'Members for whom a task has failed and not succeeded since',
    labelNames: ['task'] as const,
    registers,
    collect: async () => {
      const [queue] = await queueState();
      depth.set(Number(queue?.depth ?? 0));
      age.set(queue?.age ?? 0);
      open.reset();
      for (const { task, count } of await openFailureCounts()) open.set({ task }, Number(count));
    },
  });
  const queueState = async (): Promise<Queue[]> => {
    const [made] = await db.$queryRaw<{ is: boolean }[]>`
      SELECT to_regclass('graphile_worker.jobs') IS NOT NULL AS is`;
    if (!made?.is) return []; // no worker has ever run here
    const now = clock.now();
    return db.$queryRaw<Queue[]>`
      SELECT count(*) AS depth,
        coalesce(extract(epoch FROM ${now} - min(run_at)), 0)::float8 AS age
      FROM graphile_worker.jobs
      WHERE locked_at IS NULL AND run_at <= ${now} AND attempts < max_attempts`;
  };
  const openFailureCounts = () => db.$queryRaw<OpenCount[]>`
    SELECT task::text, count(*) FROM worker_failures WHERE resolved_at IS NULL GROUP BY task`;
}
