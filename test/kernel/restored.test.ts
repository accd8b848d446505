/** A database whose events come from a server that had counted further than this one. */
import { expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import { migrate } from '../../src/kernel/migrate.ts';
import { SetupError } from '../../src/kernel/setup-error.ts';
import { createWebhook } from '../../src/webhooks/index.ts';
import { testDatabase, testDeps } from '../support/database.ts';
import { aProgram } from '../support/factories.ts';

const EPOCH = 2n ** 32n;
const input = { url: 'https://shop.example/', enabled: true };

async function starts(of: { copied: (deps: Deps, programId: string) => Promise<unknown> }) {
  const databaseUrl = await testDatabase();
  const deps = await testDeps({ databaseUrl, config: { webhookAllowPrivate: true } });
  const { programId } = await aProgram(deps);
  await createWebhook(deps, { programId, input });
  await of.copied(deps, programId);
  const fault = (error: unknown) => error;
  return [
    await testDeps({ databaseUrl }).then(() => 'it started', fault),
    await migrate(databaseUrl).catch(fault),
  ];
}

const anEvent = (xid: bigint) => (deps: Deps, programId: string) =>
  deps.db.$executeRaw`
  INSERT INTO events (program_id, type, data, at, xid)
  VALUES (${programId}::uuid, 'pool.paused', '{}', ${deps.clock.now()}, ${xid}::bigint)`;
const aPlace = (cursorXid: bigint) => (deps: Deps) =>
  deps.db.webhook.updateMany({ data: { cursorXid } });

test.each([
  ['an event of the same epoch', anEvent(EPOCH - 1n), 1],
  ['an event of the fifth', anEvent(5n * EPOCH + 7n), 6],
  ['an endpoint’s place', aPlace(3n * EPOCH + 7n), 4],
])(
  'with %s beyond its count it neither starts nor migrates, and names the cure',
  async (...[, copied, epoch]) => {
    for (const answer of await starts({ copied })) {
      expect(answer).toBeInstanceOf(SetupError);
      expect(String(answer)).toContain(`\`pg_resetwal --epoch=${epoch}\``);
      expect(String(answer)).toContain('best before the dump is loaded');
    }
  },
);

test('with events of its own, and endpoints at the end of the feed, it starts', async () => {
  expect(await starts({ copied: anEvent(5n) })).toEqual(['it started', []]);
});
