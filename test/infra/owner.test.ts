/** One run for each folder, whoever asks for it at the same moment. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { claimFolder } from '../../src/embedded/owner.ts';
import { PATIENCE, rounds } from '../support/torture.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'flash-owner-'));
  file = path.join(folder, 'owner');
});
afterEach(() => rm(folder, { recursive: true }));

const claim = () => claimFolder(folder, 'FLASH_HOME');

test.each([
  ['that nobody has', '999999999 1'],
  ['that was used again by another program', `${process.pid} 1`],
  ['that was never written', ''],
])('a folder whose owner has a process id %s is free', async (_, owner) => {
  await writeFile(file, owner);
  const release = await claim();
  await expect(claim()).rejects.toThrow('is in use');
  await release();
  await expect(stat(file)).rejects.toThrow('ENOENT');
});

test('an owner that gives the folder up and ends while it is looked for leaves one owner', async () => {
  await writeFile(file, '999999999 1');
  vi.spyOn(process, 'kill').mockImplementationOnce(() => {
    rmSync(file);
    throw new Error('ESRCH');
  });
  const release = await claim();
  vi.restoreAllMocks();
  await expect(claim()).rejects.toThrow('is in use');
  await release();
});

test('an owner whose folder was removed and made anew leaves the new owner alone', async () => {
  const release = await claim();
  await rm(file);
  const releaseNew = await claim();
  await release();
  await expect(claim()).rejects.toThrow('is in use');
  await releaseNew();
});

test('who was refused leaves nothing behind that is in the way when the owner dies', async () => {
  await claim();
  await expect(claim()).rejects.toThrow('is in use');
  const [, , ...behind] = (await readFile(file, 'utf8')).split('\n');
  await writeFile(file, ['999999999 1', ...behind].join('\n'));
  const release = await claim();
  await release();
});

const claimant = (): ChildProcess => {
  const started = fork('test/support/claimant.ts', { execArgv: ['--import', 'tsx'] });
  onTestFinished(() => void started.disconnect());
  return started;
};

test('processes that ask at once, after two deaths, each have it alone', PATIENCE, async () => {
  const claimants = Array.from({ length: 4 }, claimant);
  for (let round = rounds(40, 5_000); round > 0; round--) {
    await writeFile(file, '999999998 1\n999999999 1');
    const answers = claimants.map(async (one) => (await once(one, 'message'))[0]);
    for (const one of claimants) one.send(folder);
    expect(await Promise.all(answers)).toEqual(claimants.map(() => 'alone'));
    await expect(stat(file)).rejects.toThrow('ENOENT');
  }
});
