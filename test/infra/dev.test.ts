import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Home, postgresPort, temporaryHome } from '../support/home.ts';
import { type DevProcess, end, runProgram, startDev } from '../support/process.ts';
import { PATIENCE } from '../support/torture.ts';

let home: Home;
let program: string;
let keys: Pick<DevProcess, 'rootKey' | 'sandboxKey'>;
beforeAll(async () => {
  home = await temporaryHome();
});
afterAll(() => home.remove());

const settings = () => ({ FLASH_HOME: home.folder, PORT: '0' });

async function sandboxProgram(dev: DevProcess): Promise<string> {
  const response = await fetch(`${dev.origin}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${dev.sandboxKey}` },
    body: JSON.stringify({ query: '{ program { id } }' }),
  });
  const answer = (await response.json()) as { data: { program: { id: string } } };
  return answer.data.program.id;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const isUp = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return isUp;
}

/** Where PostgreSQL and Redis of this home listen. */
async function ports(): Promise<number[]> {
  const redis = await readFile(path.join(home.folder, 'redis', 'url'), 'utf8');
  return [(await postgresPort(home.folder)) ?? 0, Number(new URL(redis).port)];
}

const owner = () => stat(path.join(home.folder, 'owner'));

async function expectNothingLeft(servers: number[], dev: DevProcess): Promise<void> {
  for (const port of [...servers, Number(new URL(dev.origin).port)]) {
    expect(await answers(port)).toBe(false);
  }
  expect(await postgresPort(home.folder)).toBeUndefined();
  await expect(owner()).rejects.toThrow('ENOENT');
}

test(
  'the first start makes database, keys and sandbox; SIGTERM ends all of it',
  PATIENCE,
  async () => {
    const dev = await startDev(settings());
    keys = dev;
    program = await sandboxProgram(dev);
    expect(program).toMatch(/^[0-9a-f-]{36}$/);
    expect((await fetch(`${dev.origin}/health/ready`)).status).toBe(200);
    const servers = await ports();
    expect(await Promise.all(servers.map(answers))).toEqual([true, true]);
    expect(await end(dev, 'SIGTERM')).toBe(0);
    await expectNothingLeft(servers, dev);
  },
);

test('the second start has the data and the keys; so ends Ctrl-C', PATIENCE, async () => {
  const dev = await startDev(settings());
  expect(dev.rootKey).toBe(keys.rootKey);
  expect(dev.sandboxKey).toBe(keys.sandboxKey);
  expect(await sandboxProgram(dev)).toBe(program);
  const servers = await ports();
  dev.child.kill('SIGINT'); // npm passes on what the terminal has sent as well: it comes twice
  expect(await end(dev, 'SIGINT')).toBe(0);
  await expectNothingLeft(servers, dev);
});

test(
  'a run that was killed is taken over with its data, and stopped after that',
  PATIENCE,
  async () => {
    const killed = await startDev(settings());
    const servers = await ports();
    expect(await end(killed, 'SIGKILL')).toBeNull();
    const dev = await startDev(settings());
    expect(dev.output()).toContain('PostgreSQL taken over, Redis taken over');
    expect(await ports()).toEqual(servers);
    expect(await sandboxProgram(dev)).toBe(program);
    expect(await end(dev, 'SIGTERM')).toBe(0);
    await expectNothingLeft(servers, dev);
  },
);

test('a signal during the start is obeyed, and leaves nothing half started', PATIENCE, async () => {
  const starting = runProgram('src/dev.ts', { env: settings() });
  while (!(await owner().catch(() => undefined))) await sleep(5);
  expect(await end(starting, 'SIGTERM')).toBe(0);
  expect(await postgresPort(home.folder)).toBeUndefined();
  await expect(owner()).rejects.toThrow('ENOENT');
});

test('two checkouts run side by side, each with its own database', PATIENCE, async () => {
  const other = await temporaryHome();
  const runs = await Promise.all([
    startDev(settings()),
    startDev({ FLASH_HOME: other.folder, PORT: '0' }),
  ]);
  const programs = await Promise.all(runs.map(sandboxProgram));
  expect(programs[0]).toBe(program);
  expect(programs[1]).not.toBe(program);
  expect(await Promise.all(runs.map((run) => end(run, 'SIGTERM')))).toEqual([0, 0]);
  await other.remove();
});

test('a port that is taken is named, and nothing is started or written', PATIENCE, async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as { port: number };
  const FLASH_HOME = path.join(home.folder, 'untouched');
  const refused = runProgram('src/dev.ts', { env: { FLASH_HOME, PORT: String(port) } });
  expect(await refused.closed).toBe(1);
  taken.close();
  expect(refused.output()).toBe(
    `PORT ${port} on 127.0.0.1 is taken by another process: stop that one, or set PORT ` +
      '(and FLASH_HOME, for a second Flash beside the first)\n',
  );
  await expect(stat(FLASH_HOME)).rejects.toThrow('ENOENT');
});

test('a wrong setting is named without its value, and nothing is started', PATIENCE, async () => {
  const FLASH_HOME = path.join(home.folder, 'untouched');
  const env = { FLASH_HOME, FLASH_ROOT_KEY: 'hunter2' };
  const refused = runProgram('src/dev.ts', { env });
  expect(await refused.closed).toBe(1);
  expect(refused.output()).toMatch(/^FLASH_ROOT_KEY: expected at least 32/);
  expect(refused.output()).not.toContain('hunter2');
  await expect(stat(FLASH_HOME)).rejects.toThrow('ENOENT');
});
