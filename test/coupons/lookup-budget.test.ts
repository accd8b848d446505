import { once } from 'node:events';
import { createServer } from 'node:net';
import { beforeEach, expect, test } from 'vitest';
import { REDIS_PATIENCE } from '../../src/config.ts';
import type { Deps } from '../../src/deps.ts';
import type { Mistake } from '../../src/kernel/errors.ts';
import { testDeps } from '../support/database.ts';
import { atEndOfFile } from '../support/end-of-file.ts';
import { unique } from '../support/factories.ts';
import { redeem } from '../support/scenes.ts';
import { asMember, openShop, type Shop } from '../support/shop.ts';
import { mistake } from '../support/unchanged.ts';

const deps = await testDeps();
let shop: Shop;
let me: Awaited<ReturnType<Shop['member']>>;
let address: string;
let own: string;
beforeEach(async () => {
  await deps.redis.flushdb();
  shop = await openShop(deps);
  me = await shop.member();
  address = unique('address');
  const pool = await shop.pool(1);
  own = (await shop.claimed(pool.id, { memberId: me.id })).plaintext;
});

const by = (memberId = me.id, from = address) => ({ asker: asMember(memberId, from) });
const guess = (who = by()) => shop.redeem('PCT-0000-0000-0000-0000', 'order-1', who);

/** How each of many guesses was answered. */
async function tally(count: number, work: (i: number) => Promise<unknown>) {
  const answers = await Promise.allSettled(Array.from({ length: count }, (_, i) => work(i)));
  const names = answers.map((answer) =>
    answer.status === 'rejected'
      ? (answer.reason as Mistake).code
      : ((answer.value as { reason?: string }).reason ?? 'fine'),
  );
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

test('ten codes that are not its own are looked up for a member, and then no more, its own included', async () => {
  for (let i = 0; i < 10; i++) expect(await shop.refused(guess)).toBe('CODE_NOT_REDEEMABLE');
  for (const work of [
    guess,
    () => shop.redeem(own, 'order-1', by()),
    () => shop.reserve(own, 'order-1', by()),
    () => shop.release(own, 'order-1', by()),
  ])
    expect(await mistake(deps.db, work)).toMatchObject({ code: 'TOO_MANY_REQUESTS' });
});

test('redeeming, reserving and releasing are counted together', async () => {
  const text = 'PCT-0000-0000-0000-0000';
  for (let i = 0; i < 3; i++) {
    await guess();
    await shop.reserve(text, 'order-1', by());
    await shop.release(text, 'order-1', by());
  }
  await guess();
  expect(await mistake(deps.db, guess)).toMatchObject({ code: 'TOO_MANY_REQUESTS' });
});

test('look-ups of its own codes cost a member nothing, however many, refused ones included', async () => {
  for (let i = 0; i < 15; i++) {
    expect(await shop.reserve(own, 'order-1', by())).toMatchObject({ ok: true });
    expect(await shop.release(own, 'order-1', by())).toBe(true);
  }
  await shop.reserve(own, 'order-2', by());
  for (let i = 0; i < 15; i++)
    expect(await shop.redeem(own, 'order-1', by())).toMatchObject({ reason: 'CODE_RESERVED' });
  for (let i = 0; i < 10; i++) expect(await guess()).toMatchObject({ ok: false });
  expect(await mistake(deps.db, guess)).toMatchObject({ code: 'TOO_MANY_REQUESTS' });
});

test('an address has the budget once, whoever asks from it, and a member once, wherever from', async () => {
  for (let i = 0; i < 10; i++) {
    const { id } = await shop.member();
    await guess(by(id));
  }
  const fresh = await shop.member();
  expect(await mistake(deps.db, () => guess(by(fresh.id)))).toMatchObject({
    code: 'TOO_MANY_REQUESTS',
  });
  expect(await guess(by(fresh.id, unique('address')))).toMatchObject({ ok: false });
  for (let i = 0; i < 9; i++) await guess(by(fresh.id, unique('address')));
  const moved = () => guess(by(fresh.id, unique('address')));
  expect(await mistake(deps.db, moved)).toMatchObject({ code: 'TOO_MANY_REQUESTS' });
});

test('budgets of two programs are apart, and a secret key has none', async () => {
  for (let i = 0; i < 10; i++) await guess();
  const elsewhere = await openShop(deps);
  const them = await elsewhere.member();
  expect(await elsewhere.redeem('PCT-0', 'order-1', by(them.id))).toMatchObject({ ok: false });
  for (let i = 0; i < 30; i++)
    expect(await shop.redeem('PCT-0', 'order-1')).toMatchObject({ reason: 'CODE_UNKNOWN' });
});

test('the window ends fifteen minutes after its first guess, and no later guess moves it', async () => {
  await guess();
  const all = await deps.redis.keys('flash:lookups:*');
  const keys = all.filter((key) => key.includes(shop.programId));
  expect(keys).toHaveLength(2);
  for (const key of keys) {
    expect(await deps.redis.ttl(key)).toBeGreaterThan(890);
    await deps.redis.expire(key, 100);
  }
  for (let i = 0; i < 8; i++) await guess();
  await shop.redeem(own, 'order-1', by());
  for (const key of keys) expect(await deps.redis.ttl(key)).toBeLessThanOrEqual(100);
  for (const key of keys) await deps.redis.del(key);
  expect(await guess()).toMatchObject({ ok: false });
});

/** Asks again whoever waited too long for room and heard BUSY. */
const ask = (code: string, who = by()) =>
  redeem(deps, { programId: shop.programId, code, orderId: 'order-1', ...who });
const WRONG = 'PCT-0000-0000-0000-0000';
const TEN = { CODE_NOT_REDEEMABLE: 10, TOO_MANY_REQUESTS: 90 };

test('of a hundred guesses at once ten are looked up', async () => {
  expect(await tally(100, () => ask(WRONG))).toEqual(TEN);
});

test('of a hundred guesses at once from fifty members at one address ten are looked up', async () => {
  const members = await Promise.all(Array.from({ length: 50 }, () => shop.member()));
  expect(await tally(100, (i) => ask(WRONG, by(members[i % 50]?.id)))).toEqual(TEN);
});

test('own codes and guesses at once: never more than ten guesses are looked up', async () => {
  const counts = await tally(100, (i) => ask(i % 2 ? WRONG : own));
  const lookedUp = counts.CODE_NOT_REDEEMABLE ?? 0;
  expect(lookedUp).toBeLessThanOrEqual(10);
  const later = await tally(20, () => ask(WRONG));
  expect(later).toMatchObject({ TOO_MANY_REQUESTS: 10 + lookedUp });
});

test('twenty-five look-ups of own codes at once are all admitted, however small the budget', async () => {
  expect(await tally(25, () => ask(own))).toEqual({ fine: 25 });
});

/** A Redis of the test's own choice, under the patience that the service has. */
const withRedis = (port: number): Promise<Deps> =>
  testDeps({
    databaseUrl: deps.config.databaseUrl,
    config: { ...REDIS_PATIENCE, redisUrl: `redis://127.0.0.1:${port}` },
  });

/** A member's look-ups all fail closed, within a few seconds; a secret key's go on. */
async function expectClosed(limping: Deps) {
  const place = await openShop(limping);
  const member = await place.member();
  const pool = await place.pool(1);
  const { plaintext } = await place.claimed(pool.id, { memberId: member.id });
  const who = by(member.id);
  const began = performance.now();
  expect(await place.refused(() => place.redeem(plaintext, 'order-1', who))).toBe('BUSY');
  expect(await place.refused(() => place.reserve(plaintext, 'order-1', who))).toBe('BUSY');
  const release = () => place.release(plaintext, 'order-1', who);
  expect(await mistake(deps.db, release)).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(performance.now() - began).toBeLessThan(25_000);
  expect(await place.redeem(plaintext, 'order-1')).toMatchObject({ ok: true });
}

test('when Redis is away a member hears BUSY, and nothing is looked up', async () => {
  await expectClosed(await withRedis(1));
});

test('when Redis takes the connection and never answers a member hears BUSY', async () => {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEndOfFile(async () => void server.close());
  await expectClosed(await withRedis((server.address() as { port: number }).port));
});
