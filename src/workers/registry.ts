import { Logger, parseCronItems, run } from 'graphile-worker';
import pg from 'pg';
import type { Deps } from '../deps.ts';
import { topUpPools } from './top-up.ts';

/** Every task of the fleet, by its name in the queue. The queue's clock runs on real time. */
const tasks = {
  top_up_pools: topUpPools,
};

const crontab = parseCronItems([
  { task: 'top_up_pools', match: '* * * * *', options: { backfillPeriod: 0, maxAttempts: 1 } },
]);

/** Starts this process's share of the fleet; any number of processes may run one. */
export async function startWorkers(deps: Deps): Promise<{ stop(): Promise<void> }> {
  const pgPool = new pg.Pool({ connectionString: deps.config.databaseUrl, max: 4 });
  // A connection that dies is replaced, whether it was idle or just being opened.
  pgPool.on('error', () => {});
  pgPool.on('connect', (client) => client.on('error', () => {}));
  const runner = await run({
    pgPool,
    concurrency: 2,
    noHandleSignals: true, // the process decides when to stop, in its own order
    parsedCronItems: crontab,
    logger: quietLogger(deps),
    taskList: Object.fromEntries(
      Object.entries(tasks).map(([name, task]) => [name, () => task(deps)]),
    ),
  });
  return {
    stop: async () => {
      await runner.stop();
      await pgPool.end();
    },
  };
}

/** The queue's own lines may quote a job's payload or error: only how bad it was is passed on. */
function quietLogger({ log }: Deps): Logger {
  return new Logger(() => (level) => {
    if (level === 'error' || level === 'warning') log.warn({ level }, 'job queue');
  });
}
