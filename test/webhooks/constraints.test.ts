/** The database as the last line of the webhooks. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWebhook } from '../../src/webhooks/index.ts';
import { testDeps } from '../support/database.ts';
import { aMember, aProgram } from '../support/factories.ts';
import { casesOf, ruleAgainst, rulesOf, type Violations } from '../support/rules.ts';

const deps = await testDeps();
const client = new pg.Client({ connectionString: deps.config.databaseUrl });
afterAll(() => client.end());
const { programId } = await aProgram(deps);
await aMember(deps, { programId });
const input = { url: 'https://shop.example/', enabled: false };
const { webhook } = await createWebhook(deps, { programId, input });

beforeAll(() => client.connect());

const delivery = (attempts: number, firstTried: string) => `
  INSERT INTO webhook_deliveries (program_id, webhook_id, event_xid, event_id, attempts,
    first_tried_at, next_attempt_at)
  SELECT program_id, '${webhook.id}', xid, id, ${attempts}, ${firstTried}, at FROM events LIMIT 1`;

const violations: Violations = {
  webhooks_previous_whole: [
    "UPDATE webhooks SET previous_secret = 'x'",
    "UPDATE webhooks SET previous_until = '2021-01-01'",
    "UPDATE webhooks SET previous_secret = 'x', previous_until = '2021-01-01'",
  ],
  webhooks_failing_counted: [
    'UPDATE webhooks SET failures = 1',
    "UPDATE webhooks SET failing_since = '2021-01-01'",
  ],
  webhook_deliveries_tried: [delivery(-1, 'NULL'), delivery(0, 'at'), delivery(1, 'NULL')],
};

test.each(casesOf(violations))('%s refuses: %s', async (rule, sql) => {
  expect(await ruleAgainst(deps.db, { client, sql })).toBe(rule);
});

test('every rule of the webhooks is tried here', async () => {
  expect(await rulesOf(client, 'webhooks')).toEqual(Object.keys(violations).sort());
});
