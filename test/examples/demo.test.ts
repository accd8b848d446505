import { beforeAll, expect, test } from 'vitest';
import { connect } from '../../examples/demo/api.ts';
import { readPurchases } from '../../examples/demo/cdnow.ts';
import { HELP, readOptions } from '../../examples/demo/options.ts';
import { silentProgress } from '../../examples/demo/progress.ts';
import {
  checkAnswers,
  checkDatabase,
  type Expected,
  expectedOf,
} from '../../examples/demo/report.ts';
import { type Plan, type Played, planOf, play } from '../../examples/demo/scenario.ts';
import { type Api, startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { runProgram } from '../support/process.ts';

const MAIN = 'examples/demo/main.ts';

let api: Api;
let rootKey: string;
let databaseUrl: string;
let plan: Plan;
let played: Played;
let expected: Expected;

beforeAll(async () => {
  const deps = await testDeps();
  ({ rootKey, databaseUrl } = deps.config);
  api = await startApi(deps);
  plan = planOf(await readPurchases(), { customers: 200, days: 60, batch: 500 });
  expected = expectedOf(plan);
  const root = connect(api.url, rootKey);
  played = await play(root, { plan, progress: silentProgress });
  root.close();
});

test('the first 200 customers and 60 days agree with the file to the cent, by API and SQL', async () => {
  expect(expected.totals.orders).toBeGreaterThan(150);
  expect(checkAnswers(expected, played)).toEqual([]);
  expect(await checkDatabase(expected, { databaseUrl, programId: played.programId })).toEqual([]);
});

test('one cent in one order is a difference, by its total and by its order', async () => {
  const [first, ...rest] = expected.orders as [Expected['orders'][number]];
  const totals = { ...expected.totals, discount: expected.totals.discount + 1 };
  const orders = [{ ...first, discount: first.discount + 1 }, ...rest];
  const off = { ...expected, orders, totals };
  expect(await checkDatabase(off, { databaseUrl, programId: played.programId })).toEqual([
    expect.stringMatching(/^discount by SQL: /),
    expect.stringContaining(first.orderId),
  ]);
  expect(checkAnswers(off, played)).toEqual([expect.stringMatching(/^discount by API: /)]);
});

test('an order that only one side knows, and one on another day, are differences', async () => {
  const [first, second, ...rest] = expected.orders as [
    Expected['orders'][number],
    Expected['orders'][number],
  ];
  const moved = { ...second, date: '2020-12-31' };
  const differ = async (orders: Expected['orders']) =>
    checkDatabase({ ...expected, orders }, { databaseUrl, programId: played.programId });
  expect(await differ([second, ...rest])).toEqual([expect.stringContaining(first.orderId)]);
  expect(await differ([first, moved, ...rest])).toEqual([expect.stringContaining(second.orderId)]);
  const strange = { ...first, orderId: '99999-20210101-1' };
  expect(await differ([first, strange, second, ...rest])).toEqual([
    expect.stringContaining('99999-20210101-1'),
  ]);
});

test('npm run demo against a running API prints what it checked, and neither code nor key', async () => {
  const program = runProgram(MAIN, {
    env: { FLASH_ROOT_KEY: rootKey, DATABASE_URL: databaseUrl },
    args: ['--url', api.url, '--customers', '20', '--days', '10'],
  });
  expect(await program.closed).toBe(0);
  const output = program.output();
  expect(output).toContain('By SQL every order agrees with the file to the cent');
  expect(output).not.toMatch(/flash_sk_|PCT-/);
  expect(output).not.toContain(rootKey);
});

test('npm run demo exits with 1 when the database does not agree', async () => {
  const other = new URL(databaseUrl);
  other.pathname = '/flash_template'; // migrated, and without a single program
  const program = runProgram(MAIN, {
    env: { FLASH_ROOT_KEY: rootKey, DATABASE_URL: other.href },
    args: ['--url', api.url, '--customers', '5', '--days', '5'],
  });
  expect(await program.closed).toBe(1);
  expect(program.output()).toContain('It does not agree with the file:');
  expect(program.output()).toMatch(/orders by SQL: 0, by the file \d/);
});

test.each([
  { args: ['--customers', 'many'], said: /^--customers: expected a number/ },
  { args: ['--url', 'nowhere'], said: /^--url: expected a URL/ },
  { args: ['--url', 'http://127.0.0.1:1'], said: /needs the root key/ },
  { args: ['--secret', 'abc'], said: /^that is not an option of the demo/ },
])('$args is refused in one sentence, which repeats nothing of it', ({ args, said }) => {
  expect(() => readOptions(args, {})).toThrow(said);
  expect(() => readOptions(args, {})).not.toThrow(/many|nowhere|abc/);
});

test('the root key and the database may come from the environment', () => {
  const env = {
    FLASH_ROOT_KEY: 'key',
    DATABASE_URL: 'postgresql://there',
    FLASH_DEMO_HOME: 'home',
  };
  const url = 'http://127.0.0.1:4000';
  expect(readOptions(['--url', url, '--days', '3'], env)).toEqual({
    customers: undefined,
    days: 3,
    home: 'home',
    place: { url, rootKey: 'key', databaseUrl: 'postgresql://there' },
  });
  expect(readOptions([], env)).toMatchObject({ place: undefined });
});

test('the help names every option', () => {
  expect(readOptions(['--help'], {})).toBe('help');
  for (const option of ['--url', '--root-key', '--database-url', '--customers', '--days'])
    expect(HELP).toContain(option);
});
