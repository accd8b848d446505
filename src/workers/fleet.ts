import { Logger, parseCronItems, run } from 'graphile-worker';
import type { Deps } from '../deps.ts';
import { startDeliveries } from './deliveries.ts';
import { type JobOf, jobs } from './jobs.ts';
import { measuredJob } from './metrics.ts';
import { QueuePool } from './queue-pool.ts';

const CONCURRENCY = 4;
const EVERY_MINUTE = '* * * * *';

const everyMinute = Object.keys(jobs).filter((name) => jobs[name]?.everyMinute);
const crontab = parseCronItems(
  everyMinute.map((task) => ({ task, match: EVERY_MINUTE, options: { backfillPeriod: 0 } })),
);

/** Starts this process's share of the fleet; any number of processes may run one. */
export async function startWorkers(deps: Deps): Promise<{ stop(): Promise<void> }> {
  const stopping = new AbortController();
  const connectionString = deps.config.databaseUrl;
  const pgPool = new QueuePool({ connectionString, max: 4 }, stopping.signal);
  const runner = await run({
    pgPool,
    concurrency: CONCURRENCY,
    noHandleSignals: true, // the process decides when to stop, in its own order
    parsedCronItems: crontab,
    logger: quietLogger(deps),
    taskList: taskList(deps, stopping.signal),
  });
  // What was missed while nobody worked need not wait for the next full minute.
  for (const name of everyMinute) await runner.addJob(name, {}, { jobKey: name });
  const deliveries = startDeliveries(deps);
  return {
    stop: async () => {
      stopping.abort();
      await Promise.all([runner.stop(), deliveries.stop()]);
      await pgPool.end();
    },
  };
}

/**
 * A job that fails is not repeated by the queue: every one of them is a wake-up, and comes again
 * while there is something to do.
 */
function taskList(deps: Deps, signal: AbortSignal) {
  const entries = Object.entries(jobs).map(([name, job]) => [
    name,
    async (payload: unknown) => {
      const { programId, id } = payload as Omit<JobOf, 'signal'>;
      const work = () => job.run(deps, { programId, id, signal });
      await measuredJob(deps, { job: name, programId, work }).catch((error: unknown) => {
        if (!signal.aborted) deps.log.error({ err: error, job: name, programId }, 'a job failed');
      });
    },
  ]);
  return Object.fromEntries(entries);
}

/** The queue's own lines may quote a job's payload or error: only how bad it was is passed on. */
function quietLogger({ log }: Deps): Logger {
  return new Logger(() => (level) => {
    if (level === 'error' || level === 'warning') log.warn({ level }, 'job queue');
  });
}
