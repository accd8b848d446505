import { expect, test } from 'vitest';
import { EVENT_TYPES } from '../../src/kernel/outbox.ts';
import { linesWith, sources, under } from './source.ts';

const code = sources('.ts', '.tsx', '.mjs', '.sql');
const src = code.filter(under('src/'));
const functions = code.filter(under('prisma/functions/'));
const migrations = code.filter(under('prisma/migrations/'));
const notHere = code.filter(({ file }) => !file.startsWith('test/house/'));
const except = (...files: string[]) => src.filter(({ file }) => !files.includes(file));

// Made from schema.prisma: its lines are as long as Prisma makes them.
const MADE_BY_PRISMA = /^(ALTER TABLE|CREATE (UNIQUE )?INDEX|CREATE TYPE)/;
// The formatter keeps a test's title on the line of its call.
const TITLE = /^\s*(test|it|describe)[.(]/;

test('no line is longer than 100 columns', () => {
  const long = code.flatMap(({ file, lines }) =>
    lines.flatMap((line, index) =>
      [...line].length > 100 && !MADE_BY_PRISMA.test(line) && !TITLE.test(line)
        ? [`${file}:${index + 1}`]
        : [],
    ),
  );
  expect(long).toEqual([]);
});

test('no file is longer than 400 lines', () => {
  const long = code.filter(({ lines }) => lines.length > 401);
  expect(long.map(({ file, lines }) => `${file}: ${lines.length}`)).toEqual(
    migrations
      .filter(({ lines }) => lines.length > 401)
      .map(({ file, lines }) => `${file}: ${lines.length}`),
  );
});

test('a hot function stays under 150 lines', () => {
  const long = functions.filter(({ lines }) => lines.length > 150);
  expect(long.map(({ file }) => file)).toEqual([]);
});

test('nobody asks for the time or for randomness but the clock and the source of randomness', () => {
  const asking = /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(/;
  expect(linesWith(except('src/kernel/clock.ts'), asking, 'code')).toEqual([]);
  expect(
    linesWith(except('src/kernel/crypto.ts'), /\brandomBytes\(|\brandomUUID\(/, 'code'),
  ).toEqual([]);
});

test('SQL asks the program for the time, never the server', () => {
  const clock = /\b(now|(clock|statement|transaction)_timestamp)\(\)|\bcurrent_(timestamp|date)\b/i;
  const inFiles = functions.filter(({ file }) => !file.endsWith('/program_now.sql'));
  expect(linesWith([...inFiles, ...migrations], clock, 'code')).toEqual([]);
  const inCode = src.filter(({ text }) => /\$(query|execute)Raw/.test(text));
  expect(linesWith(inCode, /\b(clock_timestamp|statement_timestamp|current_timestamp)\b/i)).toEqual(
    [],
  );
});

test('only config.ts and the processes read the environment', () => {
  const readers = linesWith(except('src/config.ts'), /\bprocess\.env\b/, 'code');
  expect(readers.map((place) => place.replace(/:\d+$/, ''))).toEqual(
    readers
      .map((place) => place.replace(/:\d+$/, ''))
      .filter((file) => file.startsWith('src/embedded/')),
  );
});

test('no SQL is put together from text, and no lock outlives its transaction', () => {
  expect(linesWith(notHere, /\$(query|execute)RawUnsafe/)).toEqual([]);
  expect(linesWith(notHere, /pg_advisory_lock\(|pg_try_advisory_lock\(/)).toEqual([]);
});

// The second installs the first, so it cannot use it yet.
const REGISTRY = ['prisma/functions/locks.sql', 'src/kernel/migrate.ts'];

test('advisory locks are taken in the registry and nowhere else', () => {
  const others = notHere.filter(
    ({ file }) => !REGISTRY.includes(file) && !/^(test|bench)\//.test(file),
  );
  expect(linesWith(others, /pg_(try_)?advisory_/, 'code')).toEqual([]);
});

test('nothing is left for later, and no test is passed over', () => {
  expect(linesWith(notHere, /\b(TODO|FIXME|XXX)\b/)).toEqual([]);
  expect(linesWith(notHere, /\b(it|test|describe)\.(only|skip|todo|fails)\b/)).toEqual([]);
});

test('the support of the tests leaves its hooks to what runs before each file', () => {
  const support = code.filter(under('test/support/'));
  const inOthers = support.filter(({ file }) => file !== 'test/support/each-file.ts');
  expect(inOthers.length).toBeGreaterThan(20);
  expect(linesWith(inOthers, /^(before|after)(All|Each)\(/)).toEqual([]);
});

test('every test file asserts something', () => {
  const silent = code.filter(
    ({ file, text }) => file.endsWith('.test.ts') && !/\bexpect\b/.test(text),
  );
  expect(silent.map(({ file }) => file)).toEqual([]);
});

test('every command says which locks it takes, what it refuses, what a retry returns, what it emits', () => {
  const commands = src.filter(
    ({ file, text }) =>
      /^src\/(members|coupons|loyalty|programs|webhooks)\/[^/]+\.ts$/.test(file) &&
      /\binTransaction\(/.test(text),
  );
  expect(commands.length).toBeGreaterThan(10);
  const heads = [/^ \* Locks:/m, /^ \* Refusals:/m, /^ \* A retry/m, /^ \* Events:/m];
  const silent = commands.filter(({ text }) => !heads.every((head) => head.test(text)));
  expect(silent.map(({ file }) => file)).toEqual([]);
});

test('every type of event is named in the header of a command that writes it', () => {
  const headers = src.flatMap(({ text }) => text.match(/ \* Events: [^/]*\*\//g) ?? []);
  const named = new Set(headers.flatMap((header) => header.match(/\b[a-z]+\.[a-z_]+\b/g) ?? []));
  expect([...named].sort()).toEqual([...EVENT_TYPES].sort());
});
