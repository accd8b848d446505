/** The database as the last line of the fleet. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDeps } from '../support/database.ts';
import { aMember, aProgram } from '../support/factories.ts';
import { ALL_RULES, roomOfRule } from '../support/rules.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const client = new pg.Client({ connectionString: deps.config.databaseUrl });
afterAll(() => client.end());
const { programId } = await aProgram(deps);
const { id: memberId } = await aMember(deps, { programId });

const failure = (member: string, attempts: number) => `
  INSERT INTO worker_failures (program_id, task, day, member_id, message, attempts, next_attempt_at)
  VALUES ('${programId}', 'EXPIRE_POINTS', '2021-01-02', ${member}, 'x', ${attempts}, now())`;

beforeAll(async () => {
  await client.connect();
  for (const member of [`'${memberId}'`, 'NULL']) await client.query(failure(member, 1));
});

const violations: Record<string, string[]> = {
  program_work_step: ['UPDATE program_work SET step = -1'],
  worker_failures_attempts: [
    failure(`'${memberId}'`, 0),
    'UPDATE worker_failures SET attempts = 0',
  ],
  worker_failures_one_open: [failure(`'${memberId}'`, 1), failure('NULL', 1)],
};

const cases = Object.entries(violations).flatMap(([rule, statements]) =>
  statements.map((sql) => [rule, sql] as const),
);

test.each(cases)('%s refuses: %s', async (rule, sql) => {
  const error = await unchanged(deps.db, () =>
    client.query(sql).then(
      () => ({ constraint: 'it was not refused' }),
      (thrown: pg.DatabaseError) => thrown,
    ),
  );
  expect(error.constraint).toBe(rule);
});

test('every rule of the fleet is tried here', async () => {
  const { rows } = await client.query<{ name: string }>(ALL_RULES);
  const names = rows.map(({ name }) => name).filter((name) => roomOfRule(name) === 'workers');
  expect(names.sort()).toEqual(Object.keys(violations).sort());
});
