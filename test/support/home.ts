/** A folder for embedded servers of a test's own, with nothing of it left afterwards. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { inject } from 'vitest';

export type Home = { folder: string; remove(): Promise<void> };

/**
 * mkdtemp makes it 0700: as root, PostgreSQL's account may not enter it, which is how a checkout
 * under /root looks. The Redis program is copied from the run's own folder, to fetch it once only.
 */
export async function temporaryHome(): Promise<Home> {
  const parent = await mkdtemp(path.join(os.tmpdir(), 'flash-home-'));
  const folder = path.join(parent, 'home');
  await lendRedis(folder);
  return {
    folder,
    remove: async () => {
      await removeHome(folder);
      await rm(parent, { recursive: true, force: true });
    },
  };
}

export async function lendRedis(home: string): Promise<void> {
  const program = path.join(inject('testHome'), 'redis-server');
  await cp(program, path.join(home, 'redis-server'), {
    recursive: true,
    verbatimSymlinks: true,
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error; // Redis is on PATH
  });
}

/** Where PostgreSQL's data of this home is: in it, or where it had to be put. */
export async function postgresFolder(home: string): Promise<string> {
  const inside = path.join(home, 'postgres');
  const moved = await readFile(path.join(inside, 'moved-to'), 'utf8').catch(() => '');
  return moved.trim() || inside;
}

async function removeHome(home: string): Promise<void> {
  const data = await postgresFolder(home);
  await rm(data, { recursive: true, force: true });
  await rm(home, { recursive: true, force: true });
}

/** From the fourth line of PostgreSQL's lock file; undefined when no server runs. */
export async function postgresPort(home: string): Promise<number | undefined> {
  const file = path.join(await postgresFolder(home), 'data', 'postmaster.pid');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number(text.split('\n')[3]);
}
