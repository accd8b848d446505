/** PostgreSQL, Redis and the API for the demo alone, beside whatever else runs here. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pg from 'pg';
import { variables } from '../../src/config.ts';
import { type Embedded, startEmbedded } from '../../src/embedded/index.ts';
import { migrate } from '../../src/kernel/migrate.ts';

const START_TIMEOUT_MS = 30_000;

export type Servers = {
  url: string;
  rootKey: string;
  databaseUrl: string;
  how: string;
  stop(): Promise<void>;
};

/** Of the environment only PATH: the demo must never meet a database that somebody needs. */
export async function startServers(home: string): Promise<Servers> {
  const env = { PATH: process.env.PATH };
  const embedded = await startEmbedded({ home, variable: 'FLASH_DEMO_HOME', env });
  try {
    await empty(embedded);
    const databaseUrl = embedded.env.DATABASE_URL as string;
    await migrate(databaseUrl);
    const api = await startApi(embedded.env);
    return {
      url: api.url,
      rootKey: embedded.env.FLASH_ROOT_KEY as string,
      databaseUrl,
      how: embedded.how,
      stop: () => api.stop().finally(embedded.stop),
    };
  } catch (error) {
    await embedded.stop();
    throw error;
  }
}

/** The last run's data is for looking at until the next one begins; the programs are kept. */
async function empty({ env }: Embedded): Promise<void> {
  const url = new URL(env.DATABASE_URL as string);
  const name = pg.escapeIdentifier(url.pathname.slice(1));
  url.pathname = '/postgres';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${name}`);
  } finally {
    await client.end();
  }
  const redis = new Redis(env.REDIS_URL as string);
  await redis.flushall().finally(() => redis.disconnect());
}

/** An empty value hides a developer's own settings, and those of the .env file as well. */
const BLANK = Object.fromEntries(variables.map((name) => [name, '']));

/** As it runs in production: a process of its own, reached over HTTP. */
async function startApi(env: Record<string, string>) {
  const port = await freePort();
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    env: { ...process.env, ...BLANK, ...env, PORT: String(port), FLASH_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const closed = once(child, 'close');
  const stop = async () => {
    child.kill('SIGTERM');
    await closed;
  };
  const url = `http://127.0.0.1:${port}`;
  try {
    await isReady(child, url);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

async function isReady(child: ChildProcess, url: string): Promise<void> {
  const giveUpAt = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < giveUpAt && child.exitCode === null) {
    const answer = await fetch(`${url}/health/ready`).catch(() => undefined);
    if (answer?.ok) return;
    await sleep(100);
  }
  throw new Error('the API did not start');
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return address.port;
}
