import { once } from 'node:events';
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import process from 'node:process';
import pg from 'pg';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { type Embedded, startEmbedded } from '../../src/embedded/index.ts';
import {
  type Home,
  lendRedis,
  postgresFolder,
  postgresPort,
  temporaryHome,
} from '../support/home.ts';

let home: Home;
let running: Embedded[] = [];
beforeEach(async () => {
  home = await temporaryHome();
});
afterEach(async () => {
  for (const servers of running.splice(0)) await servers.stop();
  await home.remove();
});

async function start(env: Record<string, string> = {}): Promise<Embedded> {
  const servers = await startEmbedded({
    home: home.folder,
    env: { PATH: process.env.PATH, ...env },
    postgresSettings: ['fsync=off'],
  });
  running.push(servers);
  return servers;
}

async function stop(servers: Embedded): Promise<void> {
  running = running.filter((other) => other !== servers);
  await servers.stop();
}

async function query(url: string | undefined, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

// Sorted alike on every machine, whatever its locale is.
const ABOUT_DATABASE = `
  SELECT pg_encoding_to_char(encoding) AS encoding, datlocprovider::text AS provider,
         datlocale AS locale, current_setting('timezone') AS zone
  FROM pg_database WHERE datname = current_database()`;

async function answerWithoutPassword(url: string | undefined): Promise<string> {
  const socket = connect(Number(new URL(url as string).port), '127.0.0.1');
  socket.write('PING\r\n');
  const [answer] = await once(socket, 'data');
  socket.destroy();
  return String(answer);
}

test('servers and keys are made once, and the data is there at the next start', async () => {
  const first = await start();
  expect(first).toMatchObject({ embedded: true, how: expect.stringContaining('created') });
  expect(await query(first.env.DATABASE_URL, ABOUT_DATABASE)).toEqual([
    { encoding: 'UTF8', provider: 'b', locale: 'C.UTF-8', zone: 'UTC' },
  ]);
  expect(await answerWithoutPassword(first.env.REDIS_URL)).toContain('NOAUTH');
  await query(first.env.DATABASE_URL, 'CREATE TABLE kept (id int)');
  const config = readConfig(first.env);
  await stop(first);
  const { mode } = await stat(path.join(home.folder, 'keys.json'));
  expect(mode & 0o777).toBe(0o600);
  const second = await start();
  expect(await query(second.env.DATABASE_URL, 'SELECT * FROM kept')).toEqual([]);
  expect(readConfig(second.env).rootKey).toBe(config.rootKey);
  expect(readConfig(second.env).encryptionKeys).toEqual(config.encryptionKeys);
});

test('a second run on the same folder is told who is there, and the first goes on', async () => {
  const first = await start();
  await expect(start()).rejects.toThrow(`is in use by process ${process.pid}`);
  expect(await query(first.env.DATABASE_URL, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('keys that are damaged or missing are a refusal: the data was written with them', async () => {
  await stop(await start());
  const file = path.join(home.folder, 'keys.json');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.slice(0, -10));
  const damaged = await start().catch((error: Error) => error);
  // The whole of it, since a parser's own message would quote the keys.
  expect(damaged).toMatchObject({ message: `${file} is damaged: restore it from a copy` });
  await rm(file);
  await expect(start()).rejects.toThrow('keys.json is missing');
  expect(await postgresPort(home.folder)).toBeUndefined();
});

test('a folder that was removed and made anew meets neither the old data nor the old keys', async () => {
  const first = await start();
  await query(first.env.DATABASE_URL, 'CREATE TABLE old (id int)');
  await first.sandbox?.keep('flash_sk_sandbox');
  const oldKey = first.env.FLASH_ROOT_KEY;
  const oldData = await postgresFolder(home.folder);
  await stop(first);
  try {
    await rm(home.folder, { recursive: true });
    await lendRedis(home.folder);
    const { env, sandbox } = await start();
    const found = await query(env.DATABASE_URL, "SELECT to_regclass('old') AS t");
    expect(found).toEqual([{ t: null }]);
    expect(env.FLASH_ROOT_KEY).not.toBe(oldKey);
    expect(sandbox?.key).toBeUndefined();
    await stop(running[0] as Embedded);
  } finally {
    await rm(oldData, { recursive: true, force: true });
  }
});

test("the sandbox's key is kept with its database, and forgotten with it", async () => {
  const first = await start();
  await first.sandbox?.keep('flash_sk_sandbox');
  await stop(first);
  const second = await start();
  expect(second.sandbox?.key).toBe('flash_sk_sandbox');
  await stop(second);
  const data = path.join(await postgresFolder(home.folder), 'data');
  await rm(data, { recursive: true });
  await mkdir(path.join(`${data}.making`, 'base'), { recursive: true }); // killed while making it
  expect((await start()).sandbox?.key).toBeUndefined();
});

test('data that PostgreSQL may no longer reach is not taken for an empty database', async () => {
  const isRoot = process.getuid?.() === 0;
  await chmod(path.dirname(home.folder), 0o755);
  await stop(await start());
  await chmod(path.dirname(home.folder), 0o700);
  const again = start().then(
    ({ how }) => how,
    (error: Error) => error.message,
  );
  // For root it is another account that must get through; anyone else owns the folder.
  expect(await again).toContain(isRoot ? 'may no longer enter' : 'PostgreSQL started');
});

test('with a database of your own no keys are made and no PostgreSQL is started', async () => {
  const servers = await start({ DATABASE_URL: inject('databaseUrl') });
  expect(servers.embedded).toBe(false);
  expect(servers.env.DATABASE_URL).toBe(inject('databaseUrl'));
  expect(servers.env.REDIS_URL).toMatch(/^redis:/);
  expect(servers.env).not.toHaveProperty('FLASH_ROOT_KEY');
  await expect(stat(path.join(home.folder, 'keys.json'))).rejects.toThrow('ENOENT');
  await expect(stat(path.join(home.folder, 'postgres'))).rejects.toThrow('ENOENT');
});

test('with servers of your own nothing is started or written', async () => {
  const given = { DATABASE_URL: inject('databaseUrl'), REDIS_URL: inject('redisUrl') };
  const servers = await startEmbedded({ home: path.join(home.folder, 'none'), env: given });
  expect(servers).toMatchObject({ embedded: false, env: given });
  await expect(stat(path.join(home.folder, 'none'))).rejects.toThrow('ENOENT');
});

test('when Redis cannot be had, the message says what to do and PostgreSQL is not left running', async () => {
  await rm(path.join(home.folder, 'redis-server'), { recursive: true, force: true });
  await expect(start({ PATH: '/nonexistent' })).rejects.toThrow(
    'set REDIS_URL, or install redis-server or valkey-server',
  );
  expect(await postgresPort(home.folder)).toBeUndefined();
  await lendRedis(home.folder);
  expect((await start()).embedded).toBe(true);
});
