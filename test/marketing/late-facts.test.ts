/** A busy database may hold up the facts; a report comes all the same. */
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import { couponAdvisor, type Report } from '../../src/marketing/index.ts';
import { couponFacts } from '../../src/marketing/kept-facts.ts';
import { problemsOfReport } from '../support/advice.ts';
import { testDeps } from '../support/database.ts';
import { aProgram } from '../support/factories.ts';
import { suggestion, withModel } from '../support/model-scene.ts';
import { aModelServer, says } from '../support/model-server.ts';
import { after, openShop, type Shop } from '../support/shop.ts';
import { until } from '../support/until.ts';

// A clock that stands still: nothing takes long, so no facts are kept for the next question.
const deps = await testDeps({ clock: { now: () => after(0) } });
// No test measures time. All of them wait here for something that is let go after the report; and
// what is left of the patience, for the program or for the model, is enough for a busy machine.
const PATIENCE_MS = 4_000;
const server = await aModelServer({ patienceMs: PATIENCE_MS });
server.answers(says({ suggestions: [suggestion()] }));
const talking = withModel(deps, server);
/** For reports that nothing holds up but a busy machine. */
const patient = withModel(deps, { ...server, patienceMs: 20_000 });
const hurried: Deps = {
  ...deps,
  config: { ...deps.config, advisorPatienceMs: PATIENCE_MS },
};

const rival = new pg.Client({ connectionString: deps.config.databaseUrl });
await rival.connect();
afterAll(() => rival.end());

async function whileLocked<T>(table: string, work: () => Promise<T>): Promise<T> {
  await rival.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  try {
    return await work();
  } finally {
    await rival.query('ROLLBACK');
  }
}

/**
 * Whoever reads the members waits for the rival, and the database does not give up after 3 s, as it
 * does with a lock: a report that waited for such facts would have no time left for the model.
 */
async function whileSlow<T>(work: () => Promise<T>): Promise<T> {
  await rival.query(`
    CREATE FUNCTION wait_for_rival() RETURNS void LANGUAGE sql SET lock_timeout = 0
      AS 'SELECT pg_advisory_xact_lock_shared(1)';
    ALTER TABLE members RENAME TO others;
    CREATE VIEW members AS SELECT others.* FROM others CROSS JOIN wait_for_rival()`);
  await rival.query('BEGIN; SELECT pg_advisory_xact_lock(1)');
  try {
    return await work();
  } finally {
    await rival.query('ROLLBACK');
    await rival.query(`
      DROP VIEW members;
      ALTER TABLE others RENAME TO members;
      DROP FUNCTION wait_for_rival()`);
  }
}

async function areValid(reports: Report[], { programId }: Shop): Promise<void> {
  for (const report of reports)
    expect(await problemsOfReport(deps, { programId, report })).toEqual([]);
  await deps.db.pool.deleteMany({ where: { programId, name: { not: 'Kept' } } });
}

const NONE = 'The facts could not be read in time.';
const OLDER = 'The facts could not be read in time; these are the last ones that were.';

async function aShop(): Promise<Shop> {
  const shop = await openShop(deps);
  await shop.pool(1, { name: 'Kept' });
  await shop.member();
  return shop;
}

test.each(['codes', 'ledger_batches', 'pools'])(
  'facts that were never read, and cannot be because of a lock on %s: the rules speak without them',
  async (table) => {
    const shop = await aShop();
    const asked = server.asked.length;
    const reports = await whileLocked(table, () =>
      Promise.all([hurried, talking].map((of) => couponAdvisor(of, shop))),
    );
    for (const report of reports) {
      expect(report).toMatchObject({ source: 'RULES', reason: NONE });
      expect(report.facts).toMatchObject({ asOf: after(0), pools: [], averageOrder: null });
      expect(report.facts.segments.map(({ name }) => name)).toEqual(['Everyone']);
    }
    await areValid(reports, shop);
    expect(server.asked.length).toBe(asked);
  },
);

test('late facts are the last ones that were read, and the model has what is left of the time', async () => {
  const shop = await aShop();
  const { facts: last } = await couponAdvisor(patient, shop);
  expect(last.pools).toHaveLength(1);
  await shop.clockAt(60_000);
  await shop.pool(1, { name: 'Kept', discountValue: 700 });
  const reports = await whileSlow(() =>
    Promise.all([hurried, talking].map((of) => couponAdvisor(of, shop))),
  );
  expect(reports).toMatchObject([
    { source: 'RULES', reason: `${OLDER} No language model is set.`, facts: last },
    { source: 'MODEL', reason: OLDER, facts: last },
  ]);
  await areValid(reports, shop);
  const fresh = await couponAdvisor(patient, shop);
  expect(fresh).toMatchObject({ source: 'MODEL', reason: null });
  expect(fresh.facts.asOf).toEqual(after(60_000));
  expect(fresh.facts.pools).toHaveLength(2);
});

test('facts that cannot be read at all are those that were', async () => {
  const shop = await aShop();
  await couponAdvisor(patient, shop);
  await rival.query('ALTER TABLE ledger_batches RENAME TO gone');
  try {
    expect((await couponAdvisor(hurried, shop)).reason).toContain(OLDER);
  } finally {
    await rival.query('ALTER TABLE gone RENAME TO ledger_batches');
  }
});

test('when not even the program can be read, that is said in time', async () => {
  const { programId } = await aShop();
  const brief = { ...deps, config: { ...deps.config, advisorPatienceMs: 1_000 } };
  await whileLocked('programs', () =>
    expect(couponAdvisor(brief, { programId })).rejects.toThrow('the database is busy'),
  );
});

/** Ends whoever waits for the rival, as a wait for a lock ends of itself when it has been long. */
async function cancelWaiting(): Promise<number> {
  const { rows } = await rival.query(`
    SELECT pg_cancel_backend(pid) FROM pg_locks
    WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))`);
  return rows.length;
}

test('a program that could not be read is read anew while there is time', async () => {
  const shop = await aShop();
  const { asked } = await whileLocked('programs', async () => {
    const asked = couponAdvisor(patient, shop);
    asked.catch(() => {}); // waited for below
    await until(cancelWaiting);
    return { asked };
  });
  expect((await asked).facts.asOf).toEqual(after(0));
});

test('only so many programs’ last facts stay: fifty', async () => {
  const all = await Promise.all(Array.from({ length: 51 }, () => aProgram(deps)));
  for (const { programId } of all) await couponFacts(deps, { programId });
  const [first, second, last] = [all[0], all[1], all[50]].map((one) => one?.programId as never);
  await whileLocked('codes', async () => {
    const reasons = await Promise.all(
      [first, second, last].map(async (programId) => {
        const { reason } = await couponAdvisor(hurried, { programId: programId as never });
        return reason;
      }),
    );
    expect(reasons).toEqual([NONE, expect.stringContaining(OLDER), expect.stringContaining(OLDER)]);
  });
});
