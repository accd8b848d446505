/** The composition root: what every command is given, opened once in a process. */
import { Redis } from 'ioredis';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Config } from './config.ts';
import { type CouponQueues, openCouponQueues } from './coupons/index.ts';
import { type Clock, systemClock } from './kernel/clock.ts';
import { CallLimit } from './kernel/coalesce.ts';
import { type Random, systemRandom } from './kernel/crypto.ts';
import { type Db, openDb } from './kernel/db.ts';
import { type Logger, openLog } from './kernel/log.ts';
import { refuseRestored } from './kernel/restored.ts';
import { SetupError } from './kernel/setup-error.ts';
import { type LedgerQueues, openLedgerQueues } from './loyalty/index.ts';
import { startTracing } from './tracing.ts';

/** Whoever measures something registers it here, and /metrics shows it. */
export type Metrics = Registry;

/** The queues of one process: requests that arrive together share a call of a hot function. */
export type HotQueues = CouponQueues & LedgerQueues;

// Calls of all queues in flight, well below the connections of the pool.
const CALLS_IN_FLIGHT = 8;

export type Deps = {
  config: Config;
  db: Db;
  redis: Redis;
  clock: Clock;
  random: Random;
  log: Logger;
  metrics: Metrics;
  hot: HotQueues;
};

export type OpenDeps = Deps & { close(): Promise<void> };

const REDIS_BACKOFF_MS = 2000;

/** Throws a SetupError when the database does not answer or has not been migrated. */
export async function openDeps(
  config: Config,
  log: Logger = openLog(config.logLevel),
): Promise<OpenDeps> {
  const db = openDb(config.databaseUrl);
  try {
    await checkDatabase(db);
  } catch (error) {
    await db.$disconnect();
    throw error;
  }
  const redis = openRedis(config, log);
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });
  const stopTracing = startTracing(config);
  const close = async () => {
    await stopTracing();
    redis.disconnect();
    await db.$disconnect();
  };
  const limit = new CallLimit(CALLS_IN_FLIGHT);
  const hot = { ...openCouponQueues(db, limit), ...openLedgerQueues(db, limit) };
  const clock = systemClock;
  const random = systemRandom;
  return { config, db, redis, clock, random, log, metrics, hot, close };
}

/**
 * Fails within about a second when Redis is away, so that whoever asks can refuse instead of wait.
 */
function openRedis({ redisUrl, redisPatienceMs }: Config, log: Logger): Redis {
  const redis = new Redis(redisUrl, {
    maxRetriesPerRequest: 1,
    connectTimeout: redisPatienceMs,
    commandTimeout: redisPatienceMs,
    retryStrategy: (times) => Math.min(times * 50, REDIS_BACKOFF_MS),
  });
  redis.on('error', (error) => log.warn({ err: error }, 'Redis is away'));
  return redis;
}

async function checkDatabase(db: Db): Promise<void> {
  let isMigrated: boolean | undefined;
  try {
    const rows = await db.$queryRaw<{ found: boolean }[]>`
      SELECT to_regclass('installed_functions') IS NOT NULL AS found`;
    isMigrated = rows[0]?.found;
  } catch (error) {
    throw new SetupError(
      'DATABASE_URL: the server did not answer, or refused the user or the database',
      { cause: error },
    );
  }
  if (!isMigrated) throw new SetupError('the database is empty: run `npm run migrate` first');
  await refuseRestored((sql) => db.$queryRaw(sql));
}
