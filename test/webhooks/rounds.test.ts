/** One round of deliveries: what it tries, what it passes by, and where it ends. */
import { expect, test } from 'vitest';
import {
  createWebhook,
  replayWebhook,
  rotateWebhookSecret,
  updateWebhook,
} from '../../src/webhooks/index.ts';
import { askedUntil, nextAttempt, restUntil } from '../../src/webhooks/schedule.ts';
import { certificateOf } from '../support/certificate.ts';
import { firstOfEach, isSigned, startReceiver } from '../support/receiver.ts';
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

test('a replay ends a rest for good: a probe that was under way and fails begins no other', async () => {
  const endpoint = await startReceiver(() => 500);
  const shop = await openTelling(deps, { receiver: endpoint, members: 6 });
  const { programId, webhookId } = shop;
  await shop.happen();
  await shop.deliverUntil(async () => (await shop.row()).resumeAt !== null);
  clock.move(HOUR);
  const { length } = endpoint.received;
  endpoint.answer = () => ({ status: 500, after: 500 });
  const probing = shop.round();
  await until(() => endpoint.received.length > length);
  await replayWebhook(deps, { programId, webhookId, after: '0-0' });
  await probing;
  expect((await shop.row()).resumeAt).toBeNull();
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
  const endpoint = await startReceiver(() => ({ after: 400, status: 200 }));
  const shop = await openTelling(deps, { receiver: endpoint, members: 2 });
  await shop.happen();
  await shop.settled();
  await shop.round({ timeoutMs: 150 });
  expect(await shop.deliveries()).toMatchObject([{ attempts: 1 }, { attempts: 1 }]);
  expect(await shop.row()).toMatchObject({ failures: 2 });
  const early = endpoint.received.length; // its time may be over before a message has come
  endpoint.answer = () => 200;
  clock.move(5 * SECOND);
  await shop.round({ timeoutMs: 10_000 });
  expect(endpoint.received.length).toBeGreaterThanOrEqual(early + 2);
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
  await shop.deliverUntil(async () => (await shop.deliveries()).length === 0);
  expect(endpoint.received.slice(before).map(({ type }) => type)).toEqual(['tier.upgraded']);
});

test('while a page is under way: a new secret signs the rest, and disabled it is told no more', async () => {
  const endpoint = await startReceiver(() => ({ after: 50, status: 200 }));
  const shop = await openTelling(deps, { receiver: endpoint, members: 0 });
  const isTold = (count: number) => until(() => endpoint.received.length > count);
  await shop.pass(200);
  await shop.settled();
  const telling = shop.round();
  await isTold(0);
  const { secret } = await rotateWebhookSecret(deps, shop);
  clock.move(SECOND);
  const before = endpoint.received.length;
  await isTold(before + 16);
  for (const message of endpoint.received.slice(before + 16))
    expect([secret, shop.secret].map((one) => isSigned(message, one))).toEqual([true, true]);
  const input = { url: endpoint.url, types: null, enabled: false };
  await updateWebhook(deps, { ...shop, input });
  clock.move(SECOND);
  const told = endpoint.received.length;
  await telling;
  expect(endpoint.received.length - told).toBeLessThanOrEqual(16);
  expect((await shop.deliveries()).length).toBe(200 - endpoint.received.length);
});

test('a certificate that nobody trusts is an endpoint away: told again, by https, once it is trusted', async () => {
  const { cert, key } = certificateOf('shop.example');
  const endpoint = await startReceiver(() => 200, { cert, key });
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }];
  const input = { url: endpoint.url.replace('127.0.0.1', 'shop.example') };
  const shop = await openTelling(deps, { receiver: endpoint, members: 2, input });
  await shop.happen();
  await shop.settled();
  await shop.round({ resolve });
  expect(await shop.deliveries()).toMatchObject([{ attempts: 1 }, { attempts: 1 }]);
  clock.move(5 * SECOND);
  await shop.round({ resolve, ca: cert });
  expect(new Set(endpoint.received.map(({ servername }) => servername))).toEqual(
    new Set(['shop.example']),
  );
  await expectTold(shop, endpoint);
});

test('of a program’s endpoints one fails: the others are told all, once, and are well', async () => {
  const failing = await startReceiver(() => 500);
  const others = [await startReceiver(), await startReceiver()];
  const shop = await openTelling(deps, { receiver: failing, members: 4 });
  const { programId } = shop;
  for (const { url } of others)
    await createWebhook(deps, { programId, input: { url, enabled: true } });
  for (let i = 0; i < 3; i++) {
    await shop.happen();
    await shop.settled();
    await shop.deliver();
  }
  for (const other of others) {
    expect(other.received).toHaveLength(12);
    for (const memberId of shop.members)
      expect(firstOfEach(other).get(memberId)).toEqual(await shop.events(memberId));
  }
  const rows = await deps.db.webhook.findMany({ where: { programId }, orderBy: { id: 'asc' } });
  expect(rows.map(({ failures }) => failures > 0)).toEqual([true, false, false]);
});

test('an endpoint that says 410 is disabled at once, and is told all at once when it comes back', async () => {
  const endpoint = await startReceiver(() => 410);
  const shop = await openTelling(deps, { receiver: endpoint, members: 1 });
  for (let i = 0; i < 3; i++) await shop.happen();
  await shop.settled();
  await shop.deliver();
  expect(endpoint.received).toHaveLength(1);
  expect(await shop.row()).toMatchObject({ enabled: false, failures: 1 });
  endpoint.answer = () => 200;
  const input = { url: endpoint.url, types: null, enabled: true };
  await updateWebhook(deps, { ...shop, input });
  await shop.deliver();
  await expectTold(shop, endpoint);
});

test('what the address of before answers disables nothing', async () => {
  const before = await startReceiver(() => ({ after: 300, status: 410 }));
  const now = await startReceiver();
  const shop = await openTelling(deps, { receiver: before, members: 1 });
  await shop.happen();
  await shop.settled();
  const delivering = shop.deliver();
  await until(() => before.received.length === 1);
  await updateWebhook(deps, { ...shop, input: { url: now.url, types: null, enabled: true } });
  await delivering;
  expect(await shop.row()).toMatchObject({ enabled: true, failures: 0 });
  clock.move(5 * SECOND);
  await shop.deliverUntil(hasAll(shop, now));
});

test.each([
  ['seconds', () => '120', 120],
  ['a date', () => new Date(clock.now().getTime() + 120 * SECOND).toUTCString(), 120],
  ['more than an hour', () => '86400', 3_600],
])(
  'a Retry-After of %s is kept to: nothing is sent before, by one attempt',
  async (...[, said, seconds]) => {
    const endpoint = await startReceiver(() => ({
      status: 429,
      headers: { 'retry-after': said() },
    }));
    const shop = await openTelling(deps, { receiver: endpoint, members: 1 });
    await shop.happen();
    await shop.settled();
    await shop.deliver();
    const { resumeAt } = await shop.row();
    const wait = (resumeAt?.getTime() ?? 0) - clock.now().getTime();
    expect(Math.abs(wait - seconds * SECOND)).toBeLessThan(30 * SECOND); // real time goes on
    clock.move((seconds - 60) * SECOND);
    await shop.deliver();
    expect(endpoint.received).toHaveLength(1);
    endpoint.answer = () => 200;
    clock.move(60 * SECOND);
    await shop.deliver();
    expect(endpoint.received).toHaveLength(2);
    await expectTold(shop, endpoint);
  },
);

test('a Retry-After in other words, or of a time that is over, asks for nothing', () => {
  const now = new Date('2021-01-01T12:00:00Z');
  expect(
    ['soon', '-5', '0', '', 'Thu, 31 Dec 2020 00:00:00 GMT', undefined].map((said) =>
      askedUntil(said, now),
    ),
  ).toEqual(Array(6).fill(undefined));
});

test('pauses differ by chance, up to a fifth sooner, and never after three days', () => {
  const firstTriedAt = new Date('2021-01-01T12:00:00Z');
  const at = (luck: number, hours: number) => {
    const now = new Date(firstTriedAt.getTime() + hours * HOUR);
    return nextAttempt({ firstTriedAt, attempts: 6, now, luck })?.getTime();
  };
  const start = firstTriedAt.getTime();
  expect([at(0, 0), at(0.5, 0), at(1, 0)]).toEqual([1, 0.9, 0.8].map((h) => start + h * HOUR));
  expect([at(0, 71.5), at(0, 72)]).toEqual([start + 72 * HOUR, undefined]);
  const failing = { failingSince: firstTriedAt, now: new Date(start + HOUR) };
  expect([0, 1].map((luck) => restUntil({ ...failing, luck }).getTime())).toEqual([
    start + 2 * HOUR,
    start + 1.8 * HOUR,
  ]);
});
