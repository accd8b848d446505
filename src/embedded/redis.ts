/** A Redis of our own in a folder, without persistence: it is never the only truth. */
import { spawn } from 'node:child_process';
import { mkdir, open, readFile, realpath, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { systemRandom } from '../kernel/crypto.ts';
import { SetupError } from '../kernel/setup-error.ts';
import { succeeds } from './binaries.ts';
import { freePort, type Server } from './postgres.ts';
import { findRedis, type RedisProgram } from './redis-server.ts';

const START_ATTEMPTS = 5;
const PING_EVERY_MS = 25;
const PINGS = 200;
/** A server of ours that stood still for a moment must not be taken for none. */
const PATIENCE_MS = 10_000;

type Options = { env: Record<string, string | undefined>; settings?: readonly string[] };

/** `home/redis` holds its settings and log, `home/redis-server` the program where PATH has none. */
export async function startRedis(home: string, options: Options): Promise<Server> {
  await mkdir(path.join(home, 'redis'), { recursive: true });
  const folder = await realpath(path.join(home, 'redis'));
  const left = await leftBehind(folder);
  if (left) return left;
  const program = await findRedis(path.resolve(home, 'redis-server'), options.env);
  for (let attempt = 1; ; attempt++) {
    const started = await launch(program, { folder, settings: options.settings ?? [] });
    if (typeof started !== 'string') return started;
    if (!/already in use/i.test(started) || attempt === START_ATTEMPTS) {
      throw new SetupError(`Redis did not start:\n${started}`);
    }
  }
}

/**
 * A run that was killed leaves its Redis behind: that one is emptied and used, as after a restart.
 */
async function leftBehind(folder: string): Promise<Server | undefined> {
  const url = await readFile(path.join(folder, 'url'), 'utf8').catch(() => undefined);
  if (url === undefined) return undefined;
  const isOurs = await withClient(url, async (client) => {
    const answer = (await client.config('GET', 'dir')) as string[];
    if (!answer.includes(folder)) return false;
    await client.flushall();
    return true;
  }).catch(() => false);
  if (!isOurs) return undefined;
  // SHUTDOWN answers by closing the connection, which the client reports as an error.
  const stop = async () => void (await succeeds(withClient(url, (c) => c.shutdown('NOSAVE'))));
  return { url, how: 'taken over', stop };
}

/** The server, or what it said when it did not come up. */
async function launch(
  program: RedisProgram,
  options: { folder: string; settings: readonly string[] },
): Promise<Server | string> {
  const { folder } = options;
  const port = await freePort();
  const password = systemRandom.bytes(18).toString('base64url');
  const url = `redis://:${password}@127.0.0.1:${port}`;
  const settings = [
    `port ${port}`,
    'bind 127.0.0.1',
    `requirepass ${password}`,
    `dir ${JSON.stringify(folder)}`,
    'save ""',
    'appendonly no',
    'maxmemory-policy noeviction',
    ...options.settings,
  ];
  // In a file and not on the command line, where every user of the machine could read the password;
  // the address is written before the start, so that a run killed in between can be taken over.
  await writeFile(path.join(folder, 'redis.conf'), `${settings.join('\n')}\n`, { mode: 0o600 });
  await writeFile(path.join(folder, 'url'), url, { mode: 0o600 });
  const { exited, stop } = await spawnServer(program, folder);
  for (let ping = 0; ping < PINGS && !exited(); ping++) {
    if (await succeeds(withClient(url, (client) => client.ping()))) {
      return { url, how: program.from, stop };
    }
    await sleep(PING_EVERY_MS);
  }
  await stop();
  return readFile(path.join(folder, 'redis.log'), 'utf8');
}

/** Detached, because Ctrl-C goes to the whole group, and Redis must outlive the draining. */
async function spawnServer(program: RedisProgram, folder: string) {
  const log = await open(path.join(folder, 'redis.log'), 'w');
  const child = spawn(program.file, [path.join(folder, 'redis.conf')], {
    env: program.env,
    stdio: ['ignore', log.fd, log.fd],
    detached: true,
  });
  await log.close();
  let isGone = false;
  const gone = new Promise<void>((resolve) => {
    for (const event of ['exit', 'error']) {
      child.once(event, () => {
        isGone = true;
        resolve();
      });
    }
  });
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    child.kill('SIGTERM');
    await gone;
    process.off('exit', kill);
  };
  return { exited: () => isGone, stop };
}

async function withClient<T>(url: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: PATIENCE_MS,
    commandTimeout: PATIENCE_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return await use(client);
  } finally {
    client.disconnect();
  }
}
