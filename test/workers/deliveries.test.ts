/** Who tells the endpoints of all programs, and whose turn it is. */
import { afterEach, expect, test } from 'vitest';
import { createWebhook, webhooksDue } from '../../src/webhooks/index.ts';
import { startDeliveries } from '../../src/workers/deliveries.ts';
import { startReceiver } from '../support/receiver.ts';
import { sessions } from '../support/sessions.ts';
import { until } from '../support/until.ts';
import { hasAll, openTelling, SECOND, tellingDeps } from '../support/webhooks.ts';

const { deps, clock } = await tellingDeps();
let deliveries: ReturnType<typeof startDeliveries> | undefined;
const start = () => {
  deliveries = startDeliveries(deps);
};
afterEach(async () => {
  await deliveries?.stop();
  deliveries = undefined;
});

const COUNTED = /flash_worker_failures_total\{task="DELIVER_WEBHOOKS"\} (\d+)/;

test('a shop with six slow endpoints has four of them told at once, and another shop is told', async () => {
  const slow = await startReceiver(() => ({ after: 500, status: 200 }));
  const busy = await openTelling(deps, { receiver: slow, members: 1 });
  const input = { url: slow.url, enabled: true };
  for (let i = 0; i < 5; i++) await createWebhook(deps, { programId: busy.programId, input });
  const quick = await startReceiver();
  const other = await openTelling(deps, { receiver: quick, members: 1 });
  for (let i = 0; i < 3; i++) await busy.happen();
  await other.happen();
  await other.settled();
  start();
  await until(hasAll(other, quick));
  await until(() => slow.taken().length >= 18);
  expect(slow.atOnce).toBe(4);
});

test('whoever had its turn longest ago is told first', async () => {
  const receiver = await startReceiver();
  const shops = [];
  for (let i = 0; i < 3; i++) shops.push(await openTelling(deps, { receiver, members: 1 }));
  const ids = shops.map(({ webhookId }) => webhookId);
  const due = async () =>
    (await webhooksDue(deps)).map((one) => one.webhookId).filter((id) => ids.includes(id));
  for (const shop of shops.toReversed()) {
    await shop.happen();
    await shop.deliverUntil(hasAll(shop, receiver));
    clock.move(SECOND);
    await shop.happen();
    await shop.settled();
  }
  expect(await due()).toEqual(ids.toReversed());
  const [first] = shops;
  await first?.deliver();
  await first?.happen();
  await first?.settled();
  expect(await due()).toEqual([ids[2], ids[1], ids[0]]);
});

test('what fails of our own is counted and recorded, tried ever less often, and holds nobody up', async () => {
  const receiver = await startReceiver();
  const sick = await openTelling(deps, { receiver, members: 1 });
  const well = await openTelling(deps, { receiver, members: 1 });
  const setKey = (secretKeyId: string) =>
    deps.db.webhook.updateMany({ where: { id: sick.webhookId }, data: { secretKeyId } });
  const { programId } = sick;
  const failures = () => deps.db.workerFailure.findMany({ where: { programId } });
  await setKey('gone');
  await sick.happen();
  await sick.settled();
  start();
  await until(async () => (await failures()).length === 1);
  for (let looks = 0; looks < 2; looks++) {
    await well.happen();
    await until(hasAll(well, receiver));
  }
  expect(await failures()).toMatchObject([
    { task: 'DELIVER_WEBHOOKS', memberId: null, attempts: 1, resolvedAt: null },
  ]);
  expect(await deps.metrics.metrics()).toContain(
    'flash_worker_failures_total{task="DELIVER_WEBHOOKS"} 1\n',
  );
  clock.move(60 * SECOND);
  await until(async () => (await failures())[0]?.attempts === 2);
  await deps.db.$executeRaw`SELECT set_next_due(${programId}::uuid)`;
  expect(await deps.db.programWork.findUnique({ where: { programId } })).toMatchObject({
    dueAt: null,
  });
  // The process that recorded it is gone; the next one has the key.
  await deliveries?.stop();
  await setKey('k1');
  start();
  await until(hasAll(sick, receiver));
  await until(async () => (await failures())[0]?.resolvedAt);
  expect(await sick.deliveries()).toEqual([]);
});

test('a database that was busy is asked again at the next look', async () => {
  const receiver = await startReceiver();
  const shop = await openTelling(deps, { receiver, members: 1 });
  const failed = async () => (await deps.metrics.metrics()).match(COUNTED)?.[1] ?? '0';
  const before = await failed();
  await shop.happen();
  await shop.settled();
  const [other] = await sessions(deps.config.databaseUrl, 1);
  await other?.begin();
  await other?.query('LOCK TABLE leases IN EXCLUSIVE MODE');
  start();
  await until(async () => (await failed()) !== before);
  await other?.commit();
  await until(hasAll(shop, receiver));
  const { programId } = shop;
  expect(await deps.db.workerFailure.findMany({ where: { programId } })).toEqual([]);
});
