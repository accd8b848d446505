/**
 * A database of its own for each test file, cloned from the migrated template, and real Deps on it.
 * What is opened here is closed, and the databases dropped, when the file has ended.
 */
import { randomBytes } from 'node:crypto';
import process from 'node:process';
import { Redis } from 'ioredis';
import pg from 'pg';
import { inject } from 'vitest';
import { type Config, readConfig } from '../../src/config.ts';
import { type OpenDeps, openDeps } from '../../src/deps.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import type { Random } from '../../src/kernel/crypto.ts';
import { atEndOfFile } from './end-of-file.ts';
import { testKeys } from './keys.ts';
import { assertSecret, recordedLog } from './secrecy.ts';

const TEMPLATE = 'flash_template';

export { testKeys };

export type TestOverrides = {
  config?: Partial<Config>;
  clock?: Clock;
  random?: Random;
  /** A database that is there already: two Deps on one database are like two API processes. */
  databaseUrl?: string;
};

/** The URL of a migrated, empty database that only this test file knows. */
export async function testDatabase(): Promise<string> {
  const name = `flash_test_${randomBytes(6).toString('hex')}`;
  await onServer(`CREATE DATABASE "${name}" TEMPLATE "${TEMPLATE}"`);
  atEndOfFile(async () => {
    await assertSecret(databaseUrl(name), inject('testHome'));
    await onServer(`DROP DATABASE "${name}" WITH (FORCE)`);
  });
  return databaseUrl(name);
}

/** An empty database without any table, for tests of the migrations themselves. */
export async function emptyDatabase(): Promise<string> {
  const name = `flash_test_${randomBytes(6).toString('hex')}`;
  await onServer(`CREATE DATABASE "${name}"`);
  atEndOfFile(() => onServer(`DROP DATABASE "${name}" WITH (FORCE)`));
  return databaseUrl(name);
}

/**
 * Real Deps on a database of their own, with the fixed keys and a Redis database of this file's.
 */
export async function testDeps(overrides: TestOverrides = {}): Promise<OpenDeps> {
  const config = await testConfig(overrides);
  const deps = await openDeps(config, recordedLog(inject('testHome')));
  atEndOfFile(() => deps.close());
  return {
    ...deps,
    ...(overrides.clock ? { clock: overrides.clock } : {}),
    ...(overrides.random ? { random: overrides.random } : {}),
  };
}

/** A machine that is busy is not one whose Redis is away: tests of that set REDIS_PATIENCE. */
const PATIENT = { redisPatienceMs: 5_000, capPatienceMs: 5_000 };

async function testConfig(overrides: TestOverrides): Promise<Config> {
  const config = readConfig({
    ...testKeys,
    PORT: '0',
    DATABASE_URL: overrides.databaseUrl ?? (await testDatabase()),
    REDIS_URL: await redisOfThisFile(),
  });
  return { ...config, ...PATIENT, ...overrides.config };
}

let redisUrl: Promise<string> | undefined;

/**
 * Files that run side by side are in different workers; those of one worker run one after another.
 */
function redisOfThisFile(): Promise<string> {
  redisUrl ??= (async () => {
    const url = `${inject('redisUrl')}/${Number(process.env.VITEST_POOL_ID ?? 1) % 256}`;
    const redis = new Redis(url);
    await redis.flushdb();
    redis.disconnect();
    atEndOfFile(async () => {
      redisUrl = undefined;
    });
    return url;
  })();
  return redisUrl;
}

function databaseUrl(name: string): string {
  const url = new URL(inject('databaseUrl'));
  url.pathname = `/${name}`;
  return url.href;
}

async function onServer(sql: string): Promise<void> {
  const admin = new pg.Client({ connectionString: databaseUrl('postgres') });
  await admin.connect();
  try {
    await admin.query(sql);
  } finally {
    await admin.end();
  }
}
