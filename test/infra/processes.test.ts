import { expect, inject, test } from 'vitest';
import { emptyDatabase, testDatabase, testKeys } from '../support/database.ts';
import { freePort } from '../support/free-port.ts';
import { end, isRunning, type Program, runProgram, waitFor } from '../support/process.ts';
import { PATIENCE } from '../support/torture.ts';

async function ownServers(): Promise<Record<string, string>> {
  return { ...testKeys, DATABASE_URL: await testDatabase(), REDIS_URL: inject('redisUrl') };
}

async function untilReady(origin: string, program: Program): Promise<void> {
  while (isRunning(program)) {
    const response = await fetch(`${origin}/health/ready`).catch(() => undefined);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the API ended:\n${program.output()}`);
}

test(
  'the API alone serves on servers of your own, and ends when it is told to',
  PATIENCE,
  async () => {
    const PORT = String(await freePort());
    const api = runProgram('src/main.ts', { env: { ...(await ownServers()), PORT } });
    await untilReady(`http://127.0.0.1:${PORT}`, api);
    expect(await end(api, 'SIGTERM')).toBe(0);
  },
);

test(
  'the worker alone works on servers of your own, and ends when it is told to',
  PATIENCE,
  async () => {
    const worker = runProgram('src/worker.ts', { env: await ownServers() });
    await waitFor(worker, /the worker is up/);
    expect(await end(worker, 'SIGINT')).toBe(0);
  },
);

test.each(['src/main.ts', 'src/worker.ts'])(
  '%s names the secrets that are missing',
  async (file) => {
    const { FLASH_ROOT_KEY, ...env } = await ownServers();
    const { closed, output } = runProgram(file, { env });
    expect(await closed).toBe(1);
    expect(output()).toMatch(/^FLASH_ROOT_KEY is not set: [^\n]*\n$/);
    expect(output()).not.toContain(FLASH_ROOT_KEY);
  },
);

test(
  'a database without tables, or without a server, is named and not started on',
  PATIENCE,
  async () => {
    const env = await ownServers();
    const empty = runProgram('src/main.ts', {
      env: { ...env, DATABASE_URL: await emptyDatabase() },
    });
    expect(await empty.closed).toBe(1);
    expect(empty.output()).toBe('the database is empty: run `npm run migrate` first\n');
    const DATABASE_URL = 'postgresql://flash:hunter2@127.0.0.1:1/flash';
    const absent = runProgram('src/main.ts', { env: { ...env, DATABASE_URL } });
    expect(await absent.closed).toBe(1);
    expect(absent.output()).toMatch(/^DATABASE_URL: /);
    expect(absent.output()).not.toContain('hunter2');
  },
);

test('migrate brings an empty database up to date, once, and says so', PATIENCE, async () => {
  const env = { DATABASE_URL: await emptyDatabase() };
  const first = runProgram('src/migrate.ts', { env });
  expect(await first.closed).toBe(0);
  expect(first.output()).toMatch(/^applied \d{14}_/);
  const second = runProgram('src/migrate.ts', { env });
  expect(await second.closed).toBe(0);
  expect(second.output()).toBe('The database is up to date.\n');
  const help = runProgram('src/migrate.ts', { env: {}, args: ['--help'] });
  expect(await help.closed).toBe(0);
  expect(help.output()).toContain('DATABASE_URL');
  const nameless = runProgram('src/migrate.ts', { env: {} });
  expect(await nameless.closed).toBe(1);
  expect(nameless.output()).toMatch(/^DATABASE_URL is not set/);
});
