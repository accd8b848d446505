/** One round of deliveries: what it tries, what it passes by, and where it ends. */
import { expect, test } from 'vitest';
import { updateWebhook } from '../../src/webhooks/index.ts';
import { firstOfEach, startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { expectTold, HOUR, hasAll, openTelling, SECOND, tellingDeps } from '../support/webhooks.ts';

const { deps, clock } = await tellingDeps();

test('behind a failed endpoint lie 5,000 events that it does not want: two rounds, and it is well', async () => {
  const endpoint = await startReceiver(() => 500);
  const input = { types: ['points.awarded'] };
  const shop = await openTelling(deps, { receiver: endpoint, members: 5, input });
  await shop.happen();
  await shop.deliverUntil(async () => (await shop.row()).failures === 5);
  await shop.pass(5_000);
  await shop.happen();
  await shop.settled();
  endpoint.answer = () => 200;
  clock.move(HOUR);
  await shop.round();
  await shop.round();
  expect((await shop.row()).failures).toBe(0);
  await shop.deliverUntil(hasAll(shop, endpoint));
  await expectTold(shop, endpoint);
});

test('a member’s event that waits in its turn does not keep an endpoint from being tried', async () => {
  const endpoint = await startReceiver(() => 500);
  const shop = await openTelling(deps, { receiver: endpoint, members: 6 });
  const [well, ...failing] = shop.members;
  if (!well) throw new Error('nobody');
  await shop.happen(failing);
  await shop.deliverUntil(async () => (await shop.row()).failures === 5);
  await shop.happen(failing);
  await shop.happen([well]);
  await shop.settled();
  endpoint.answer = ({ memberId }) => (memberId === well ? 200 : 500);
  clock.move(5 * SECOND);
  await shop.round();
  expect(firstOfEach(endpoint).get(well)).toHaveLength(1);
  expect((await shop.row()).failures).toBe(0);
});

test('a round that may not go on leaves the rest of its page to the next, each member in order', async () => {
  const endpoint = await startReceiver();
  const shop = await openTelling(deps, { receiver: endpoint });
  for (let i = 0; i < 5; i++) await shop.happen();
  await shop.settled();
  await shop.round({ mayGoOn: () => endpoint.received.length < 4 });
  const sent = endpoint.received.length;
  expect([sent >= 4, sent < 15]).toEqual([true, true]);
  expect(await shop.deliveries()).toHaveLength(15 - sent);
  await shop.deliverUntil(hasAll(shop, endpoint));
  expect(endpoint.received).toHaveLength(15);
  await expectTold(shop, endpoint);
});

test('a receiver that is slower than it may be is told again, until it has answered in time', async () => {
  const endpoint = await startReceiver(({ nth }) => ({ after: nth < 2 ? 400 : 0, status: 200 }));
  const shop = await openTelling(deps, { receiver: endpoint, members: 2 });
  await shop.happen();
  await shop.settled();
  await shop.round({ timeoutMs: 150 });
  expect(await shop.deliveries()).toMatchObject([{ attempts: 1 }, { attempts: 1 }]);
  expect(await shop.row()).toMatchObject({ failures: 2 });
  clock.move(5 * SECOND);
  await shop.round({ timeoutMs: 5_000 });
  expect(endpoint.received).toHaveLength(4);
  await expectTold(shop, endpoint);
});

test('what waits and is not wanted any more is done with, and what is behind it goes on', async () => {
  const endpoint = await startReceiver(() => 500);
  const shop = await openTelling(deps, { receiver: endpoint, members: 1 });
  await shop.happen();
  await shop.deliverUntil(async () => (await shop.deliveries()).length === 1);
  await shop.pass(1, { type: 'tier.upgraded', memberId: shop.members[0] });
  await shop.deliverUntil(async () => (await shop.deliveries()).length === 2);
  endpoint.answer = () => 200;
  await updateWebhook(deps, {
    programId: shop.programId,
    webhookId: shop.webhookId,
    input: { url: endpoint.url, types: ['tier.upgraded'], enabled: true },
  });
  const before = endpoint.received.length;
  clock.move(5 * SECOND);
  await shop.deliverUntil(async () => (await shop.deliveries()).length === 0);
  expect(endpoint.received.slice(before).map(({ type }) => type)).toEqual(['tier.upgraded']);
});

test('an endpoint that is disabled while a page is under way is not told it to its end', async () => {
  const endpoint = await startReceiver();
  const shop = await openTelling(deps, { receiver: endpoint, members: 100 });
  const { programId, webhookId: id } = shop;
  await shop.happen();
  await shop.settled();
  endpoint.answer = () => ({ after: 5, status: 200 });
  const telling = shop.round();
  await until(() => endpoint.received.length > 0);
  await deps.db.webhook.update({
    where: { programId_id: { programId, id } },
    data: { enabled: false },
  });
  await telling;
  expect(endpoint.received.length).toBeLessThan(100);
  expect((await shop.deliveries()).length).toBe(100 - endpoint.received.length);
});
