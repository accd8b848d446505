/** A database whose events come from a server that had counted further than this one. */
import { expect, test } from 'vitest';
import { migrate } from '../../src/kernel/migrate.ts';
import { SetupError } from '../../src/kernel/setup-error.ts';
import { createWebhook } from '../../src/webhooks/index.ts';
import { testDatabase, testDeps } from '../support/database.ts';
import { aProgram } from '../support/factories.ts';

const EPOCH = 2n ** 32n;
const input = { url: 'https://shop.example/', enabled: false };

const databaseUrl = await testDatabase();
const deps = await testDeps({ databaseUrl, config: { webhookAllowPrivate: true } });
const { programId } = await aProgram(deps);
await createWebhook(deps, { programId, input });

const fault = (error: unknown) => error;
const started = () => testDeps({ databaseUrl }).then(() => 'it started', fault);
const anEvent = (xid: bigint) => () =>
  deps.db.$executeRaw`
  INSERT INTO events (program_id, type, data, at, xid)
  VALUES (${programId}::uuid, 'pool.paused', '{}', ${deps.clock.now()}, ${xid}::bigint)`;
const aPlace = (cursorXid: bigint) => () => deps.db.webhook.updateMany({ data: { cursorXid } });

test('with events of its own, and endpoints at the end of the feed, it starts', async () => {
  await anEvent(5n)();
  expect(await started()).toBe('it started');
  expect(await migrate(databaseUrl)).toEqual([]);
});

test.each([
  ['an event of the same epoch', anEvent(EPOCH - 1n), 1],
  ['an endpoint’s place', aPlace(3n * EPOCH + 7n), 4],
  ['an event of the fifth epoch', anEvent(5n * EPOCH + 7n), 6],
])(
  'with %s beyond its count it neither starts nor migrates, and names the cure',
  async (...[, copy, epoch]) => {
    await copy();
    for (const answer of [await started(), await migrate(databaseUrl).catch(fault)]) {
      expect(answer).toBeInstanceOf(SetupError);
      expect(String(answer)).toContain(`\`pg_resetwal --epoch=${epoch}\``);
      expect(String(answer)).toContain('best before the dump is loaded');
    }
  },
);
