/** A Redis and a PostgreSQL of a test's own, to be frozen, killed and started again. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Redis } from 'ioredis';
import { findPostgres, startPostgres } from '../../src/embedded/postgres.ts';
import { startRedis } from '../../src/embedded/redis.ts';
import { findRedis } from '../../src/embedded/redis-server.ts';
import { postgresFolder } from './home.ts';

const env = { PATH: process.env.PATH };

export type OwnRedis = Awaited<ReturnType<typeof ownRedis>>;

export async function ownRedis(home: string) {
  const server = await startRedis(home, { env });
  let pid = await pidOf(server.url);
  let restarted: ChildProcess | undefined;
  return {
    url: server.url,
    freeze: () => process.kill(pid, 'SIGSTOP'),
    thaw: () => process.kill(pid, 'SIGCONT'),
    flush: () => asking(server.url, (redis) => redis.flushall()),
    kill: () => process.kill(pid, 'SIGKILL'),
    /** With the settings and at the address of the one that was killed. */
    restart: async () => {
      const program = await findRedis(path.resolve(home, 'redis-server'), env);
      const settings = path.resolve(home, 'redis', 'redis.conf');
      restarted = spawn(program.file, [settings], { env: program.env, stdio: 'ignore' });
      pid = await pidOf(server.url);
    },
    stop: async () => {
      // A failed test may have left it frozen, and then it hears of nothing else.
      spawnSync('kill', ['-CONT', String(pid)]);
      await server.stop();
      restarted?.kill('SIGKILL');
    },
  };
}

/** Waits until the server answers. */
const pidOf = (url: string) =>
  asking(url, async (redis) => Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1]));

async function asking<T>(url: string, ask: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { retryStrategy: () => 25, maxRetriesPerRequest: null });
  redis.on('error', () => {}); // not yet
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}

/** Keeps what it acknowledged when it is killed, though not when the machine is. */
export async function ownPostgres(home: string) {
  const start = async () =>
    startPostgres(await findPostgres(home, 'faults'), {
      database: 'flash',
      settings: ['fsync=off', 'full_page_writes=off', 'max_connections=100'],
    });
  let server = await start();
  return {
    url: () => server.url,
    kill: async () => {
      const lock = path.join(await postgresFolder(home), 'data', 'postmaster.pid');
      process.kill(Number((await readFile(lock, 'utf8')).split('\n')[0]), 'SIGKILL');
    },
    /** At another port, most likely. */
    restart: async () => {
      server = await start();
    },
    stop: () => server.stop(),
  };
}
