// Makes what `npm start` and `npm test` need and is missing or stale: the packages, the Prisma
// client, the GraphQL types, the playground. Plain Node, because it runs before any package is
// here. `node scripts/ensure.mjs prisma graphql` makes those two only. Nothing to do: about 20 ms.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const GENERATED = 'src/generated';
const RUNS = path.join(GENERATED, '.runs');
const INSTALLED = 'node_modules/.flash-installed';
/** After this a line says nothing: its process number may have been given to another. */
const STALE_RUN_MS = 15 * 60_000;

const bin = (pkg, file) => path.join('node_modules', pkg, file);
const JOBS = {
  prisma: {
    title: 'Prisma client',
    out: 'src/generated/prisma/client.ts',
    from: ['prisma/schema.prisma', 'prisma.config.ts'],
    run: [bin('prisma', 'build/index.js'), 'generate'],
  },
  graphql: {
    title: 'GraphQL types',
    out: 'src/generated/graphql.ts',
    from: ['schema.graphql', 'codegen.ts'],
    run: ['--import', 'tsx', 'codegen.ts'],
  },
  playground: {
    title: 'playground',
    out: 'web/playground/dist/index.html',
    from: ['web/playground', 'examples/playground'],
    run: [bin('vite', 'bin/vite.js'), 'build', '-c', 'web/playground/vite.config.ts'],
  },
};

const sha256 = (data) => createHash('sha256').update(data).digest('hex');
const readOr = (file, otherwise) => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
};

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const fits = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
  if (fits) return;
  console.error(
    `Flash needs Node 20.19 or later of line 20, or 22.12 or later; this is ${process.version}.\n` +
      'Get one from https://nodejs.org, or with `nvm install 22`.',
  );
  process.exit(1);
}

/**
 * Whether node_modules is what package-lock.json asks for. npm keeps its own list of what it has
 * installed there: reading it spares somebody who has just run `npm ci` or `npm install` another.
 */
function packagesAreHere() {
  const lock = readFileSync('package-lock.json', 'utf8');
  const hash = sha256(lock);
  if (readOr(INSTALLED, '') === hash) return true;
  const listed = readOr('node_modules/.package-lock.json', undefined);
  if (listed === undefined) return false;
  const installed = JSON.parse(listed).packages;
  for (const [where, wanted] of Object.entries(JSON.parse(lock).packages)) {
    if (where === '' || (wanted.optional && !installed[where])) continue;
    if (installed[where]?.version !== wanted.version || !existsSync(where)) return false;
  }
  writeFileSync(INSTALLED, hash);
  return true;
}

function inputs(entry) {
  if (!statSync(entry, { throwIfNoEntry: false })?.isDirectory()) return [entry];
  const names = readdirSync(entry).filter((name) => name !== 'dist' && name !== 'node_modules');
  return names.sort().flatMap((name) => inputs(path.join(entry, name)));
}

/** Contents and not times: a checkout gives every file a new time, and so do copies. */
function fingerprint(job) {
  const hash = createHash('sha256').update(
    JSON.stringify([job.run, sha256(readOr('package-lock.json', ''))]),
  );
  for (const file of job.from.flatMap(inputs)) hash.update(`\0${file}\0${readOr(file, '')}`);
  return hash.digest('hex');
}

const stampOf = (name) => path.join(GENERATED, `.made-${name}`);
const isMade = (name) =>
  existsSync(JOBS[name].out) && readOr(stampOf(name), '') === fingerprint(JOBS[name]);

function execute(args, options) {
  return new Promise((resolve) => {
    const child = spawn(args[0], args.slice(1), options);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (data) => {
        output += data;
      });
    }
    child.once('error', (error) => resolve({ code: 1, output: error.message }));
    child.once('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

async function install() {
  const why = existsSync('node_modules') ? 'The packages are out of date' : 'First run';
  console.log(`${why}: installing them with npm ci, about half a minute ...`);
  const npm = process.env.npm_execpath;
  const flags = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const command = npm ? [process.execPath, npm, ...flags] : ['npm', ...flags];
  const shell = !npm && process.platform === 'win32';
  const { code, output } = await execute(command, { stdio: 'inherit', shell });
  if (code !== 0) {
    console.error(`npm ci failed (exit code ${code}). ${output}`);
    process.exit(code);
  }
  writeFileSync(INSTALLED, sha256(readFileSync('package-lock.json')));
}

async function make(name) {
  const { title, out, run } = JOBS[name];
  const began = performance.now();
  const stamp = fingerprint(JOBS[name]);
  const env = { ...process.env, CHECKPOINT_DISABLE: '1', PRISMA_HIDE_UPDATE_MESSAGE: '1' };
  const { code, output } = await execute([process.execPath, ...run], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  if (code !== 0 || !existsSync(out)) {
    console.error(`${title}: could not be made (exit code ${code})\n${output}`);
    return false;
  }
  writeFileSync(stampOf(name), stamp);
  console.log(`${title}: made in ${seconds} s`);
  return true;
}

/** Whether the run of a line is still at it: no second line yet, and its process lives. */
function isAtIt(line, lines) {
  const [pid, since] = line.split('@').map(Number);
  const isDone = lines.indexOf(line) !== lines.lastIndexOf(line);
  if (isDone || pid === process.pid || !(Date.now() - since < STALE_RUN_MS)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/**
 * One run at a time in a checkout: `npm start` and `npm test` may be typed at the same moment. Each
 * writes its line at the end of one file and waits for those above it. Lines are only ever added:
 * a lock that one of two takes away when its holder has died may be the other's new one.
 */
async function takeTurn() {
  const me = `${process.pid}@${Date.now()}`;
  const write = () => appendFileSync(RUNS, `${me}\n`);
  mkdirSync(GENERATED, { recursive: true });
  write();
  process.once('exit', () => existsSync(RUNS) && write());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(signal, () => process.exit(130));
  for (let told = false; ; told = true) {
    const lines = readOr(RUNS, '').trim().split('\n');
    const place = lines.indexOf(me);
    if (place < 0) {
      console.error(`Somebody has removed ${RUNS} meanwhile: run this again.`);
      process.exit(1);
    }
    if (!lines.slice(0, place).some((line) => isAtIt(line, lines))) return;
    if (!told) console.log('Another run is making the same files: waiting for it ...');
    await sleep(100);
  }
}

checkNode();
process.chdir(path.join(import.meta.dirname, '..'));
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(JOBS);
const unknown = names.find((name) => !JOBS[name]);
if (unknown) {
  console.error(`${unknown}: no such job; there are ${Object.keys(JOBS).join(', ')}`);
  process.exit(1);
}
const stale = () => names.filter((name) => !isMade(name));
if (!packagesAreHere() || stale().length > 0) {
  await takeTurn();
  if (!packagesAreHere()) await install();
  const made = await Promise.all(stale().map(make));
  if (made.includes(false)) process.exitCode = 1;
}
