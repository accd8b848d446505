import { beforeAll, expect, test } from 'vitest';
import { connect } from '../../examples/demo/api.ts';
import { readPurchases, sum } from '../../examples/demo/cdnow.ts';
import {
  checkAnswers,
  checkDatabase,
  type Expected,
  expectedOf,
} from '../../examples/demo/coupons-check.ts';
import { expectPoints } from '../../examples/demo/expected-points.ts';
import { ladderTable, readLadder } from '../../examples/demo/ladder.ts';
import { HELP, readOptions } from '../../examples/demo/options.ts';
import { LADDER, type Plan, planOf } from '../../examples/demo/plan.ts';
import {
  checkLedgers,
  checkPoints,
  type Ledgers,
  pointTotalsOf,
} from '../../examples/demo/points-check.ts';
import { silentProgress } from '../../examples/demo/progress.ts';
import { type Played, play } from '../../examples/demo/scenario.ts';
import { type Api, startApi } from '../support/api.ts';
import { testDatabase, testDeps } from '../support/database.ts';
import type { Draw, Entry, Holder, Lot, Spend } from '../support/oracle.ts';
import { runProgram } from '../support/process.ts';
import type { Change, Standing, TiersOracle } from '../support/tiers-oracle.ts';
import { torture } from '../support/torture.ts';

const MAIN = 'examples/demo/main.ts';
const HOUR = 3_600_000;

let api: Api;
let rootKey: string;
let databaseUrl: string;
let plan: Plan;
let played: Played;
let expected: Expected;
let ledgers: Ledgers;

beforeAll(async () => {
  const deps = await testDeps();
  ({ rootKey, databaseUrl } = deps.config);
  api = await startApi(deps);
  plan = planOf(await readPurchases(), torture ? {} : { customers: 160, batch: 500 });
  expected = expectedOf(plan);
  ledgers = expectPoints(plan);
  const root = connect(api.url, rootKey);
  played = await play(root, { plan, progress: silentProgress });
  root.close();
}, HOUR);

test('every customer agrees with the file to the cent and to the point, by API and SQL', async () => {
  expect(expected.totals.orders).toBeGreaterThan(150);
  expect(checkAnswers(expected, played)).toEqual([]);
  const where = { databaseUrl, programId: played.programId };
  expect(await checkDatabase(expected, where)).toEqual([]);
  expect(checkPoints(ledgers, played)).toEqual([]);
  expect(await checkLedgers(ledgers, where)).toEqual([]);
});

test('there is something of everything in it', () => {
  const standings = [...ledgers].map(([id, ledger]) => ledger.standing(id));
  const bonuses = [...ledgers.values()].flatMap(({ lots }) => lots.filter((lot) => !lot.order));
  const { value, ...points } = pointTotalsOf(ledgers);
  const moves = standings.flatMap(({ history }) => history);
  const happened = {
    ...points,
    upgrades: moves.filter(({ to, from }) => to > from).length,
    'upgrades by two': moves.filter(({ to, from }) => to - from === 2).length,
    downgrades: moves.filter(({ to, from }) => to < from).length,
    graces: standings.filter(({ graceEnds }) => graceEnds).length,
    warnings: standings.flatMap(({ warnings }) => warnings).length,
    bonuses: bonuses.length,
  };
  const atLeast = torture ? 200 : 1;
  for (const [what, count] of Object.entries(happened))
    expect({ what, enough: count >= atLeast }).toEqual({ what, enough: true });
  expect(value).toBe(points.outstanding);
});

/** What is said when one number of what is expected is one more. */
async function offByOne<Of extends Record<Name, number>, Name extends string>(of: Of, name: Name) {
  const where = { databaseUrl, programId: played.programId };
  const change = (by: number) => Object.assign(of, { [name]: of[name] + by });
  change(1);
  try {
    return [...checkPoints(ledgers, played), ...(await checkLedgers(ledgers, where))];
  } finally {
    change(-1);
  }
}

test('one point in an account, a lot, a draw or a line of the journal is a difference', async () => {
  const [id, ledger] = [...ledgers].find(([, { spends }]) => spends.length > 0) ?? [];
  const { holders, lots, spends, entries } = ledger as TiersOracle;
  const other = (part: string) => `members by SQL with other ${part}: 1, the first of them ${id}`;
  expect(await offByOne(holders[0] as Holder, 'debt')).toEqual([
    `accounts that differ by API: 1, the first of them ${id}`,
    other('account'),
  ]);
  expect(await offByOne(lots[0] as Lot, 'expired')).toEqual([other('lots')]);
  const [draw] = (spends[0] as Spend).draws as [Draw];
  expect(await offByOne(draw, 'points')).toEqual([other('lots'), other('spends')]);
  expect(await offByOne(entries[0] as Entry, 'at')).toEqual([other('journal')]);
});

test('a rank, a grace, an instant of a change and a warning that differ are differences', async () => {
  const find = (has: (standing: Standing) => unknown) => {
    const [id = '', ledger] = [...ledgers].find(([one, { standing }]) => has(standing(one))) ?? [];
    const other = (part: string) => `members by SQL with other ${part}: 1, the first of them ${id}`;
    const byApi = `accounts that differ by API: 1, the first of them ${id}`;
    return { standing: (ledger as TiersOracle).standing(id), other, byApi };
  };
  const moved = find(({ history }) => history.length > 0);
  const asked = [moved.byApi, moved.other('tier')];
  expect(await offByOne(moved.standing, 'rank')).toEqual(asked);
  expect(await offByOne(moved.standing.history[0] as Change, 'at')).toEqual(asked);
  const graced = find(({ graceEnds }) => graceEnds);
  const { graceEnds } = graced.standing;
  graced.standing.graceEnds = null;
  const where = { databaseUrl, programId: played.programId };
  expect(checkPoints(ledgers, played)).toEqual([graced.byApi]);
  expect(await checkLedgers(ledgers, where)).toEqual([graced.other('tier')]);
  graced.standing.graceEnds = graceEnds;
  const warned = find(({ warnings }) => warnings.length > 0);
  const warning = warned.standing.warnings.pop() as string;
  expect(await checkLedgers(ledgers, where)).toEqual([warned.other('warnings')]);
  warned.standing.warnings.push(warning);
});

test('the ladder by month holds everybody, and every move and expired point', async () => {
  const months = await readLadder(plan, { databaseUrl, programId: played.programId });
  expect(months.map(({ month }) => month)).toEqual([
    ...new Set(plan.days.map((day) => day.slice(0, 7))),
  ]);
  for (const { members } of months) expect(sum(members)).toBe(plan.customers.length);
  const ranks = [...ledgers].map(([id, ledger]) => ledger.standing(id).rank);
  expect(months.at(-1)?.members).toEqual(
    LADDER.map((_rung, index) => ranks.filter((rank) => rank === index + 1).length),
  );
  const moves = [...ledgers].flatMap(([id, ledger]) => ledger.standing(id).history);
  const total = (name: 'upgrades' | 'downgrades' | 'expired') =>
    sum(months.map((month) => month[name]));
  expect(total('upgrades')).toBe(moves.filter(({ from, to }) => to > from).length);
  expect(total('downgrades')).toBe(moves.filter(({ from, to }) => to < from).length);
  expect(total('expired')).toBe(pointTotalsOf(ledgers).expired);
  const lines = ladderTable(months);
  expect(lines.length).toBe(months.length + 3);
  expect(new Set(lines.slice(1).map(({ length }) => length)).size).toBe(1);
});

test('a total, a member without an account, and what reconcile found are differences', () => {
  const liability = { ...played.liability, expired: played.liability.expired - 1 };
  expect(checkPoints(ledgers, { ...played, liability })).toEqual([
    expect.stringMatching(/^expired by API: \d+, by the file \d+$/),
  ]);
  const members = played.members.slice(1);
  const missing = played.members[0]?.externalId;
  expect(checkPoints(ledgers, { ...played, members })).toEqual([
    expect.stringMatching(/^accounts by API: /),
    `accounts that differ by API: 1, the first of them ${missing}`,
  ]);
  const found = { invariant: 'lot equation', subject: 'some lot', expected: 1, actual: 2 };
  const reconciliation = { ...played.reconciliation, differences: [found] };
  expect(checkPoints(ledgers, { ...played, reconciliation })).toEqual([
    'lot equation of some lot: 2 instead of 1',
  ]);
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
  expect(output).toContain('By SQL every order agrees with the file to the cent, every member');
  expect(output).not.toMatch(/flash_sk_|PCT-/);
  expect(output).not.toContain(rootKey);
});

test('npm run demo exits with 1 when the database does not agree', async () => {
  const program = runProgram(MAIN, {
    env: { FLASH_ROOT_KEY: rootKey, DATABASE_URL: await testDatabase() },
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
