/** The database as the last line of the fleet. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDeps } from '../support/database.ts';
import { aMember, aProgram } from '../support/factories.ts';
import { casesOf, ruleAgainst, rulesOf, type Violations } from '../support/rules.ts';

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

const violations: Violations = {
  program_work_step: ['UPDATE program_work SET step = -1'],
  worker_failures_attempts: [
    failure(`'${memberId}'`, 0),
    'UPDATE worker_failures SET attempts = 0',
  ],
  worker_failures_one_open: [failure(`'${memberId}'`, 1), failure('NULL', 1)],
};

test.each(casesOf(violations))('%s refuses: %s', async (rule, sql) => {
  expect(await ruleAgainst(deps.db, { client, sql })).toBe(rule);
});

test('every rule of the fleet is tried here', async () => {
  expect(await rulesOf(client, 'workers')).toEqual(Object.keys(violations).sort());
});
