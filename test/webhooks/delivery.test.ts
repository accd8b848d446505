/** Endpoints of every kind: each is told of everything, at least once, each member in order. */
import { afterEach, describe, expect, test } from 'vitest';
import { readCursor } from '../../src/kernel/feed.ts';
import {
  eraseOldSecrets,
  replayWebhook,
  rotateWebhookSecret,
  updateWebhook,
} from '../../src/webhooks/index.ts';
import { jobs } from '../../src/workers/jobs.ts';
import { firstOfEach, isSigned, type Receiver, startReceiver } from '../support/receiver.ts';
import { luck, rounds } from '../support/torture.ts';
import {
  expectTold,
  HOUR,
  hasAll,
  openTelling,
  SECOND,
  type Telling,
  tellingDeps,
} from '../support/webhooks.ts';

const { deps, clock } = await tellingDeps();
const receivers: Receiver[] = [];
const receiver = async (answer?: Receiver['answer']) => {
  const started = await startReceiver(answer);
  receivers.push(started);
  return started;
};
afterEach(async () => {
  for (const one of receivers.splice(0)) await one.close();
});

test('an endpoint that is well: each event once, signed, in the words of the specification', async () => {
  const endpoint = await receiver();
  const shop = await openTelling(deps, { receiver: endpoint });
  for (let i = 0; i < 4; i++) await shop.happen();
  await shop.deliverUntil(hasAll(shop, endpoint));
  await expectTold(shop, endpoint);
  expect(endpoint.received).toHaveLength(12);
  const [first] = endpoint.received;
  expect(first?.headers).toMatchObject({
    'content-type': 'application/json',
    'webhook-id': first?.id,
    'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
    'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
  });
  expect(JSON.parse(first?.body ?? '')).toEqual({
    id: first?.id,
    type: 'points.awarded',
    timestamp: '2021-01-01T12:00:00.000Z',
    memberId: first?.memberId,
    data: { batchId: expect.any(String), source: 'MANUAL', points: 1 },
  });
  expect(await shop.deliver()).toMatchObject({ scanned: 0, changed: 0, failed: 0 });
  expect(endpoint.received).toHaveLength(12);
});

test('it is told of what happens after it was made, and of the types that it wants', async () => {
  const endpoint = await receiver();
  const shop = await openTelling(deps, { receiver: endpoint });
  const picky = await openTelling(deps, { receiver: endpoint, input: { types: ['points.spent'] } });
  await picky.happen();
  await shop.happen();
  await shop.deliverUntil(hasAll(shop, endpoint));
  await picky.deliver();
  expect(endpoint.received.map(({ type }) => type)).toEqual(Array(3).fill('points.awarded'));
  expect(endpoint.received.every(({ memberId }) => shop.members.includes(memberId as never))).toBe(
    true,
  );
});

test('a slow endpoint is sent a few messages at a time, and no member’s two', async () => {
  const endpoint = await receiver(() => ({ after: 30, status: 200 }));
  const shop = await openTelling(deps, { receiver: endpoint, members: 20 });
  for (let i = 0; i < 3; i++) await shop.happen();
  await shop.deliverUntil(hasAll(shop, endpoint));
  await expectTold(shop, endpoint);
  expect(endpoint.atOnce).toBeGreaterThan(1);
  expect(endpoint.atOnce).toBeLessThanOrEqual(8);
});

test('an endpoint that refuses, hangs up and keeps silent at random: all is told, in order', async () => {
  const { below } = luck('moody');
  const moods: Receiver['answer'][] = [() => 500, () => 'hang up', () => 404, () => 302];
  moods.push(() => ({ after: 40, status: 503 }));
  const moody: Receiver['answer'] = (message) =>
    below(3) === 0 ? (moods[below(moods.length)]?.(message) ?? 200) : 200;
  for (let round = rounds(1, 50); round > 0; round--) {
    const endpoint = await receiver(moody);
    const shop = await openTelling(deps, { receiver: endpoint, members: 6 });
    for (let i = 0; i < 5; i++) {
      await shop.happen();
      await shop.deliver();
      clock.move(40 * SECOND);
    }
    const isTold = hasAll(shop, endpoint);
    await shop.deliverUntil(() => {
      clock.move(HOUR);
      return isTold();
    });
    await shop.deliverUntil(async () => (await shop.deliveries()).length === 0);
    await expectTold(shop, endpoint);
  }
});

test.each([
  ['everything', null],
  ['one type of a busy feed', ['points.awarded']],
])(
  'an endpoint of %s answers 500 for an hour: it rests, ever longer, and then has all',
  async (...[, types]) => {
    let isDown = true;
    const endpoint = await receiver(() => (isDown ? 500 : 200));
    const shop = await openTelling(deps, { receiver: endpoint, members: 8, input: { types } });
    for (let minute = 0; minute < 60; minute++) {
      if (types) await shop.pass(300);
      if (minute % 15 === 0) {
        await shop.happen();
        await shop.settled();
      }
      await shop.deliver();
      clock.move(60 * SECOND);
    }
    const attempts = endpoint.received.length;
    expect(attempts).toBeGreaterThan(8);
    expect(attempts).toBeLessThan(30); // not each member each minute
    const row = await shop.row();
    expect(row.failures).toBe(attempts);
    const lastLook = clock.now().getTime() - 61 * SECOND;
    expect(row.resumeAt?.getTime()).toBeGreaterThan(lastLook);
    isDown = false;
    clock.move(HOUR);
    await shop.deliverUntil(hasAll(shop, endpoint));
    await shop.deliverUntil(async () => {
      clock.move(HOUR);
      return (await shop.deliveries()).length === 0;
    });
    await expectTold(shop, endpoint);
    expect(await shop.row()).toMatchObject({ failures: 0, failingSince: null, resumeAt: null });
  },
);

test('an event that alone is refused: its member waits behind it, the others do not', async () => {
  const endpoint = await receiver();
  const shop = await openTelling(deps, { receiver: endpoint });
  await shop.happen();
  await shop.deliverUntil(hasAll(shop, endpoint));
  const [sick, ...well] = shop.members;
  if (!sick) throw new Error('nobody');
  let poison = '';
  endpoint.answer = ({ id }) => (id === poison ? 422 : 200);
  await shop.happen([sick]);
  poison = (await shop.events(sick))[1] as string;
  await shop.happen();
  await shop.settled();
  await shop.deliverUntil(async () => (await shop.deliveries()).length === 2);
  expect(await shop.deliveries()).toMatchObject([
    { attempts: 1, isBlocked: false },
    { attempts: 0, isBlocked: true },
  ]);
  for (const memberId of well)
    expect(firstOfEach(endpoint).get(memberId)).toEqual(await shop.events(memberId));
  clock.move(30 * SECOND);
  await shop.happen([sick]);
  await shop.deliverUntil(async () => (await shop.deliveries()).length === 3);
  expect(endpoint.received.filter(({ id }) => id === poison)).toHaveLength(2);
  expect(firstOfEach(endpoint).get(sick)).toHaveLength(1);
  poison = '';
  clock.move(10 * 60 * SECOND);
  await shop.deliverUntil(async () => (await shop.deliveries()).length === 0);
  await expectTold(shop, endpoint);
});

const eventIdOf = (cursor: string) => readCursor(cursor)?.id ?? 0n;

describe('after three days', () => {
  const days = async (shop: Telling, count: number) => {
    for (let hour = 0; hour < count * 24; hour += 3) {
      clock.move(3 * HOUR);
      await shop.deliver();
    }
  };

  test('an event that is always refused is a dead letter, and what waited behind it goes on', async () => {
    const endpoint = await receiver();
    const shop = await openTelling(deps, { receiver: endpoint });
    const [sick, well] = shop.members;
    if (!sick || !well) throw new Error('nobody');
    await shop.happen([sick, sick]);
    const [poison, next] = await shop.events(sick);
    endpoint.answer = ({ id }) => (id === poison ? 500 : 200);
    for (let day = 0; day < 3; day++) {
      await shop.happen([well]);
      await shop.settled();
      await days(shop, 1);
    }
    await shop.deliverUntil(() => {
      clock.move(HOUR);
      return endpoint.taken().some(({ id }) => id === next);
    });
    expect(await shop.deliveries()).toMatchObject([{ isDead: true }]);
    const tries = endpoint.received.filter(({ id }) => id === poison).length;
    expect([tries > 8, tries < 20]).toEqual([true, true]);
    expect(await shop.row()).toMatchObject({ enabled: true, failures: 0 });
    expect(firstOfEach(endpoint).get(well)).toEqual(await shop.events(well));
    endpoint.answer = () => 200;
    const { programId, webhookId } = shop;
    await replayWebhook(deps, { programId, webhookId, after: '0-0' });
    await shop.deliverUntil(() => endpoint.taken().some(({ id }) => id === poison));
    expect(await shop.deliveries()).toEqual([]);
  });

  test('an endpoint that is gone is disabled, keeps its place, and is told all once it is back', async () => {
    const back = await receiver();
    // Port 1 is nobody's: one that was given up may be another's soon.
    const input = { url: 'http://127.0.0.1:1/' };
    const shop = await openTelling(deps, { receiver: back, input });
    for (let day = 0; day < 4; day++) {
      await shop.happen();
      await shop.settled();
      await days(shop, 1);
    }
    expect(await shop.row()).toMatchObject({ enabled: false });
    const { programId, webhookId } = shop;
    await updateWebhook(deps, {
      programId,
      webhookId,
      input: { url: back.url, types: null, enabled: true },
    });
    const dead = new Set((await shop.deliveries()).flatMap((one) => (one.isDead ? [one.id] : [])));
    expect(dead.size).toBeLessThanOrEqual(3); // of each member the first, whose three days are over
    await shop.deliverUntil(() => back.taken().length >= 12 - dead.size);
    for (const memberId of shop.members)
      expect(firstOfEach(back).get(memberId)).toEqual(
        (await shop.events(memberId)).filter((text) => !dead.has(eventIdOf(text))),
      );
    expect(await shop.row()).toMatchObject({ enabled: true, failures: 0, failingSince: null });
    await replayWebhook(deps, { programId, webhookId, after: '0-0' });
    await shop.deliverUntil(hasAll(shop, back));
    expect(await shop.deliveries()).toEqual([]);
  });
});

test('with a new secret both sign for a day, then the new one alone', async () => {
  const endpoint = await receiver();
  const shop = await openTelling(deps, { receiver: endpoint });
  const { programId, webhookId } = shop;
  const { secret } = await rotateWebhookSecret(deps, { programId, webhookId });
  expect(secret).not.toBe(shop.secret);
  await shop.happen();
  await shop.deliverUntil(hasAll(shop, endpoint));
  await eraseOldSecrets(deps);
  expect((await shop.row()).previousSecret).not.toBeNull();
  for (const message of endpoint.received) {
    expect([isSigned(message, secret), isSigned(message, shop.secret)]).toEqual([true, true]);
    expect(message.headers['webhook-signature']?.split(' ')).toHaveLength(2);
  }
  clock.move(24 * HOUR);
  await shop.happen();
  await shop.deliverUntil(hasAll(shop, endpoint));
  const last = endpoint.received.at(-1);
  if (!last) throw new Error('nothing came');
  expect([isSigned(last, secret), isSigned(last, shop.secret)]).toEqual([true, false]);
  const signal = new AbortController().signal;
  await jobs.erase_old_secrets?.run(deps, { programId: undefined, signal });
  const old = { previousSecret: null, previousKeyId: null, previousUntil: null };
  expect(await shop.row()).toMatchObject(old);
});

test('a replay tells everything after a place again, in order', async () => {
  const endpoint = await receiver();
  const shop = await openTelling(deps, { receiver: endpoint });
  for (let i = 0; i < 3; i++) await shop.happen();
  await shop.deliverUntil(hasAll(shop, endpoint));
  const { programId, webhookId } = shop;
  const all = await shop.events();
  const after = all[3] as string;
  await replayWebhook(deps, { programId, webhookId, after });
  await shop.deliverUntil(() => endpoint.received.length === 9 + 5);
  expect(
    endpoint.received
      .slice(9)
      .map(({ id }) => id)
      .sort(),
  ).toEqual(all.slice(4).sort());
  for (const memberId of shop.members) {
    const again = endpoint.received.slice(9).filter((one) => one.memberId === memberId);
    const ids = again.map(({ id }) => id);
    expect(ids).toEqual((await shop.events(memberId)).filter((id) => ids.includes(id)));
  }
});

test('a replay while a page is under way is not undone by it', async () => {
  const endpoint = await receiver(() => ({ after: 150, status: 200 }));
  const shop = await openTelling(deps, { receiver: endpoint, members: 1 });
  const { programId, webhookId } = shop;
  const start = await shop.row();
  await shop.happen();
  await shop.happen();
  const delivering = shop.deliverUntil(() => endpoint.received.length > 0);
  while (endpoint.received.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await replayWebhook(deps, { programId, webhookId, after: '0-0' });
  await delivering;
  expect((await shop.row()).cursorXid).toBeGreaterThan(start.cursorXid);
  await shop.deliverUntil(hasAll(shop, endpoint));
  expect(endpoint.received.length).toBeGreaterThan(2);
});

test('a disabled endpoint is told nothing, and afterwards what it has missed', async () => {
  const endpoint = await receiver();
  const shop = await openTelling(deps, { receiver: endpoint, input: { enabled: false } });
  await shop.happen();
  expect(await shop.deliver()).toMatchObject({ scanned: 0, changed: 0 });
  expect(endpoint.received).toEqual([]);
  const { programId, webhookId } = shop;
  const input = { url: endpoint.url, types: null, enabled: true };
  await updateWebhook(deps, { programId, webhookId, input });
  await shop.deliverUntil(hasAll(shop, endpoint));
  await expectTold(shop, endpoint);
});
