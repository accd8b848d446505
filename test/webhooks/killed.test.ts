/** Worker processes that die by SIGKILL among their deliveries; the next ones go on. */
import { expect, inject, test } from 'vitest';
import { testDatabase, testKeys } from '../support/database.ts';
import { end, launch, type Program, waitFor } from '../support/process.ts';
import { firstOfEach, isSigned, startReceiver } from '../support/receiver.ts';
import { luck, PATIENCE, rounds } from '../support/torture.ts';
import { until } from '../support/until.ts';
import { openTelling, tellingDeps } from '../support/webhooks.ts';

const databaseUrl = await testDatabase();
const { deps } = await tellingDeps(databaseUrl);

async function startWorker(): Promise<Program> {
  const env = {
    ...testKeys,
    DATABASE_URL: databaseUrl,
    REDIS_URL: inject('redisUrl'),
    FLASH_WEBHOOK_ALLOW_PRIVATE: 'true',
  };
  const worker = launch('src/worker.ts', { env });
  await waitFor(worker, /the worker is up/);
  return worker;
}

test(
  'a process dies among its deliveries: the next tells all, each member in order',
  PATIENCE,
  async () => {
    const receiver = await startReceiver(() => ({ after: 15, status: 200 }));
    const shop = await openTelling(deps, { receiver, members: 8 });
    const { below } = luck('killed deliveries');
    for (let round = rounds(1, 20); round > 0; round--) {
      const before = receiver.received.length;
      for (let i = 0; i < 8; i++) await shop.happen();
      const worker = await startWorker();
      await until(async () => receiver.received.length > before + below(30));
      await end(worker, 'SIGKILL');
      // As if it had been silent for long enough.
      await deps.db.lease.updateMany({ data: { until: new Date(0) } });
    }
    const workers = [await startWorker(), await startWorker()];
    const all = await shop.events();
    await until(async () => new Set(receiver.taken().map(({ id }) => id)).size === all.length, 60);
    const ends = await Promise.all(workers.map((worker) => end(worker, 'SIGTERM')));
    expect(ends).toEqual([0, 0]);
    const members = firstOfEach(receiver);
    for (const memberId of shop.members)
      expect(members.get(memberId)).toEqual(await shop.events(memberId));
    for (const message of receiver.received) expect(isSigned(message, shop.secret)).toBe(true);
    expect(await shop.deliveries()).toEqual([]);
  },
);
