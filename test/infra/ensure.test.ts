import { execFile } from 'node:child_process';
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PATIENCE } from '../support/torture.ts';

const execute = promisify(execFile);

/** A checkout whose tools only note that they ran, and make what they are to make. */
let checkout: string;
beforeEach(async () => {
  checkout = await mkdtemp(path.join(os.tmpdir(), 'flash-ensure-'));
  await cp('scripts/ensure.mjs', path.join(checkout, 'scripts/ensure.mjs'));
  await put('npm.mjs', npm);
  await put('package.json', '{"type": "module"}');
  await put('package-lock.json', lockFile('1.0.0'));
  await put('prisma/schema.prisma', 'model A');
  await put('prisma.config.ts', '');
  await put('schema.graphql', 'type Query');
  await put('codegen.ts', maker('graphql', 'src/generated/graphql.ts'));
  await put('web/playground/main.tsx', '');
});
afterEach(() => rm(checkout, { recursive: true }));

async function put(name: string, text: string): Promise<void> {
  const file = path.join(checkout, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
}

const lockFile = (version: string) =>
  JSON.stringify({ packages: { '': {}, 'node_modules/thing': { version } } });

const maker = (name: string, out: string) => `
  import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
  import path from 'node:path';
  appendFileSync('ran.log', '${name}\\n');
  mkdirSync(path.dirname('${out}'), { recursive: true });
  writeFileSync('${out}', '');
  await new Promise((resolve) => setTimeout(resolve, 200));`;

const prisma = maker('prisma', 'src/generated/prisma/client.ts');
const vite = maker('playground', 'web/playground/dist/index.html');
const npm = `
  import { appendFileSync, cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
  appendFileSync('ran.log', 'npm ' + process.argv[2] + '\\n');
  rmSync('node_modules', { recursive: true, force: true });
  for (const folder of ['thing', 'prisma/build', 'vite/bin'])
    mkdirSync('node_modules/' + folder, { recursive: true });
  writeFileSync('node_modules/package.json', '{"type": "module"}');
  writeFileSync('node_modules/prisma/build/index.js', ${JSON.stringify(prisma)});
  writeFileSync('node_modules/vite/bin/vite.js', ${JSON.stringify(vite)});
  symlinkSync(${JSON.stringify(path.resolve('node_modules/tsx'))}, 'node_modules/tsx');
  cpSync('package-lock.json', 'node_modules/.package-lock.json');`;

type Run = { code: number; output: string };

async function ensure(...args: string[]): Promise<Run> {
  const env = { ...process.env, npm_execpath: path.join(checkout, 'npm.mjs') };
  const script = path.join(checkout, 'scripts/ensure.mjs');
  return execute(process.execPath, [script, ...args], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    (error) => ({ code: error.code, output: error.stdout + error.stderr }),
  );
}

/** What has run since the last look, in alphabetical order: the jobs run side by side. */
async function ran(): Promise<string[]> {
  const log = path.join(checkout, 'ran.log');
  const text = await readFile(log, 'utf8').catch(() => '');
  await rm(log, { force: true });
  return text.trim().split('\n').sort();
}

const EVERYTHING = ['graphql', 'playground', 'prisma'];

test('a fresh clone gets its packages and all that is generated; after that there is nothing to do', async () => {
  const first = await ensure();
  expect(first).toMatchObject({ code: 0, output: expect.stringContaining('First run') });
  expect(await ran()).toEqual([...EVERYTHING, 'npm ci'].sort());
  expect(await ensure()).toEqual({ code: 0, output: '' });
  expect(await ran()).toEqual(['']);
});

test('a lock file that has changed means npm ci again', async () => {
  await ensure();
  await ran();
  await put('package-lock.json', lockFile('1.0.1'));
  expect((await ensure()).output).toContain('out of date');
  expect(await ran()).toEqual([...EVERYTHING, 'npm ci'].sort());
});

test('packages that somebody has installed by hand are not installed again', async () => {
  await execute(process.execPath, ['npm.mjs', 'install'], { cwd: checkout });
  await ran();
  await ensure();
  expect(await ran()).toEqual(EVERYTHING);
});

test('only what is made from the changed file is made again', async () => {
  await ensure();
  await ran();
  await put('prisma/schema.prisma', 'model B');
  await ensure();
  expect(await ran()).toEqual(['prisma']);
  await put('web/playground/dist/old.js', '');
  await rm(path.join(checkout, 'src/generated/graphql.ts'));
  await ensure();
  expect(await ran()).toEqual(['graphql']);
});

test('several at once make everything once, and runs that were killed are no hindrance', async () => {
  await ensure('graphql');
  await ran();
  const now = Date.now();
  const killed = `999999998@${now}\n999999999@${now}\n`;
  const reused = `${process.pid}@${now - 16 * 60_000}\n`;
  await put('src/generated/.runs', killed + reused);
  const runs = await Promise.all([ensure(), ensure(), ensure()]);
  expect(runs.map((run) => run.code)).toEqual([0, 0, 0]);
  expect(await ran()).toEqual(['playground', 'prisma']);
});

test('a run waits for one that is still at it, and goes on when that one is done', async () => {
  await ensure('graphql');
  await ran();
  const runs = path.join(checkout, 'src/generated/.runs');
  const other = `${process.pid}@${Date.now()}\n`;
  await writeFile(runs, other);
  const waiting = ensure('prisma');
  await expect.poll(() => readFile(runs, 'utf8'), PATIENCE).not.toBe(other);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await ran()).toEqual(['']);
  await appendFile(runs, other);
  expect(await waiting).toMatchObject({ code: 0 });
  expect(await ran()).toEqual(['prisma']);
});

test('a run whose place in the queue was removed says so, and ends', async () => {
  const runs = path.join(checkout, 'src/generated/.runs');
  await ensure('graphql');
  const other = `${process.pid}@${Date.now()}\n`;
  await writeFile(runs, other);
  const waiting = ensure('prisma');
  await expect.poll(() => readFile(runs, 'utf8'), PATIENCE).not.toBe(other);
  await rm(path.join(checkout, 'src/generated'), { recursive: true });
  expect(await waiting).toMatchObject({
    code: 1,
    output: expect.stringContaining('run this again'),
  });
});

test('what fails is reported with its own words, and is tried again the next time', async () => {
  await ensure();
  await ran();
  await put('codegen.ts', "console.error('no such type'); process.exit(3);");
  const failed = await ensure();
  expect(failed).toMatchObject({
    code: 1,
    output: expect.stringMatching(/GraphQL.*\n.*no such type/),
  });
  await put('codegen.ts', `${maker('graphql', 'src/generated/graphql.ts')} // mended`);
  expect(await ensure()).toMatchObject({ code: 0 });
  expect(await ran()).toEqual(['graphql']);
});

test('when npm fails, its exit code is passed on and nothing is made', async () => {
  await put('npm.mjs', 'process.exit(7)');
  expect(await ensure()).toMatchObject({
    code: 7,
    output: expect.stringContaining('npm ci failed'),
  });
  expect(await ran()).toEqual(['']);
});

test('an unknown job is an error that lists those there are', async () => {
  await ensure();
  expect(await ensure('grapql')).toMatchObject({
    code: 1,
    output: expect.stringContaining('prisma, graphql, playground'),
  });
});
