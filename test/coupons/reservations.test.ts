import { beforeEach, expect, test } from 'vitest';
import { pausePool, revokeCode, voidRedemption } from '../../src/coupons/index.ts';
import type { CodeId, RedemptionId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { after, openShop, type Shop } from '../support/shop.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const MINUTE = 60_000;
let shop: Shop;
beforeEach(async () => {
  shop = await openShop(deps);
});

async function held(input?: Parameters<Shop['pool']>[1]) {
  const pool = await shop.pool(1, input);
  const { code, plaintext } = await shop.claimed(pool.id, { memberId: (await shop.member()).id });
  return { poolId: pool.id, codeId: code.id as CodeId, text: plaintext };
}

const reserved = async (text: string, orderId: string, ttlSeconds = 900) => {
  const answer = await shop.reserve(text, orderId, { ttlSeconds });
  if (!answer.ok) throw new Error(answer.reason);
  return answer.reservedUntil;
};
const free = { reservedFor: null, reservedUntil: null };

test('a reserved code is redeemed by its own order, and by no other', async () => {
  const { text, codeId } = await held();
  expect(await reserved(text, 'order-1')).toEqual(after(15 * MINUTE));
  expect(await shop.code(codeId)).toMatchObject({
    status: 'ALLOCATED',
    reservedFor: 'order-1',
    reservedUntil: after(15 * MINUTE),
  });
  for (const ask of [shop.redeem, shop.reserve])
    expect(await shop.refused(() => ask(text, 'order-2'))).toBe('CODE_RESERVED');
  await shop.redeemed(text, 'order-1');
  expect(await shop.code(codeId)).toMatchObject({ status: 'REDEEMED', ...free });
});

test('a reservation ends by the clock of the program: held at −1 ms, over at its instant', async () => {
  const { text } = await held();
  await reserved(text, 'order-1', 60);
  await shop.clockAt(MINUTE - 1);
  expect(await shop.refused(() => shop.redeem(text, 'order-2'))).toBe('CODE_RESERVED');
  await shop.clockAt(MINUTE);
  await shop.redeemed(text, 'order-2');
});

test('another order may reserve what was reserved once, and then the first is kept out', async () => {
  const { text } = await held();
  await reserved(text, 'order-1', 60);
  await shop.clockAt(MINUTE);
  expect(await reserved(text, 'order-2', 60)).toEqual(after(2 * MINUTE));
  expect(await shop.refused(() => shop.redeem(text, 'order-1'))).toBe('CODE_RESERVED');
});

test('the same order extends its reservation from the moment it asks again', async () => {
  const { text } = await held();
  await reserved(text, 'order-1', 60);
  await shop.clockAt(MINUTE / 2);
  expect(await reserved(text, 'order-1', 60)).toEqual(after(MINUTE * 1.5));
  await shop.clockAt(MINUTE);
  expect(await shop.refused(() => shop.redeem(text, 'order-2'))).toBe('CODE_RESERVED');
});

test('a reservation is honoured to its end past the end of the pool, for its order alone', async () => {
  const [kept, late] = [
    await held({ endsAt: after(MINUTE) }),
    await held({ endsAt: after(MINUTE) }),
  ];
  for (const { text } of [kept, late]) await reserved(text, 'order-1', 120);
  await shop.clockAt(2 * MINUTE - 1);
  for (const ask of [shop.redeem, shop.reserve])
    expect(await shop.refused(() => ask(kept.text, 'order-2'))).toMatch(/CODE_(RESERVED|EXPIRED)/);
  await shop.redeemed(kept.text, 'order-1');
  await shop.clockAt(2 * MINUTE);
  for (const ask of [shop.redeem, shop.reserve])
    expect(await shop.refused(() => ask(late.text, 'order-1'))).toBe('CODE_EXPIRED');
});

test('a released code is free for every order, and releasing it again answers false', async () => {
  const { text, codeId } = await held();
  await reserved(text, 'order-1');
  expect(await unchanged(deps.db, () => shop.release(text, 'order-2'))).toBe(false);
  expect(await shop.release(text.toLowerCase(), ' order-1 ')).toBe(true);
  expect(await shop.code(codeId)).toMatchObject(free);
  expect(await unchanged(deps.db, () => shop.release(text, 'order-1'))).toBe(false);
  expect(await shop.release('NO-SUCH-CODE', 'order-1')).toBe(false);
  await shop.redeemed(text, 'order-2');
});

test('revoking beats a reservation', async () => {
  const { text, codeId } = await held();
  await reserved(text, 'order-1');
  await revokeCode(deps, { programId: shop.programId, codeId, reason: 'fraud' });
  expect(await shop.code(codeId)).toMatchObject({ status: 'REVOKED', ...free });
  for (const ask of [shop.redeem, shop.reserve])
    expect(await shop.refused(() => ask(text, 'order-1'))).toBe('CODE_REVOKED');
});

test('a void leaves no reservation behind', async () => {
  const { text, codeId } = await held();
  await reserved(text, 'order-1');
  const { redemption } = await shop.redeemed(text, 'order-1');
  await voidRedemption(deps, {
    programId: shop.programId,
    redemptionId: redemption.id as RedemptionId,
    reason: 'returned',
  });
  expect(await shop.code(codeId)).toMatchObject({ status: 'ALLOCATED', ...free });
  await shop.redeemed(text, 'order-2');
});

test('a redeemed code is not reserved, not even for its own order', async () => {
  const { text } = await held();
  await shop.redeemed(text, 'order-1');
  for (const order of ['order-1', 'order-2'])
    expect(await shop.refused(() => shop.reserve(text, order))).toBe('CODE_ALREADY_REDEEMED');
});

test('a code of a paused pool is reserved and redeemed: a promise is kept', async () => {
  const { text, poolId } = await held();
  await pausePool(deps, { programId: shop.programId, poolId });
  await reserved(text, 'order-1');
  await shop.redeemed(text, 'order-1');
});

test('an order that is refused for its amount keeps its reservation', async () => {
  const { text, codeId } = await held({ minOrderAmount: 5_000 });
  await reserved(text, 'order-1');
  const small = () => shop.redeem(text, 'order-1', { orderAmount: 1 });
  expect(await shop.refused(small)).toBe('BELOW_MINIMUM_ORDER');
  expect(await shop.code(codeId)).toMatchObject({ reservedFor: 'order-1' });
});

test('of ten orders that reserve one code at once one has it', async () => {
  const { text } = await held();
  const orders = Array.from({ length: 10 }, (_, i) => `order-${i}`);
  const answers = await Promise.all(orders.map((order) => shop.reserve(text, order)));
  expect(answers.filter((answer) => answer.ok)).toHaveLength(1);
  for (const answer of answers) if (!answer.ok) expect(answer.reason).toBe('CODE_RESERVED');
});

test('the shortest and the longest reservation', async () => {
  const { text } = await held();
  expect(await reserved(text, 'order-1', 1)).toEqual(after(1_000));
  expect(await reserved(text, 'order-1', 86_400)).toEqual(after(86_400_000));
});

test.each([0, -1, 86_401, 1.5, Number.NaN])(
  'a ttl of %d seconds is bad input',
  async (ttlSeconds) => {
    const { text } = await held();
    const error = await mistake(deps.db, () => shop.reserve(text, 'order-1', { ttlSeconds }));
    expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.ttlSeconds' });
  },
);

test('asking again for a shorter time takes nothing from the reservation', async () => {
  const { text } = await held();
  await reserved(text, 'order-1', 600);
  expect(await reserved(text, 'order-1', 1)).toEqual(after(10 * MINUTE));
});

test('at the end of the pool a reservation is not extended, not even by its own order', async () => {
  const { text } = await held({ endsAt: after(MINUTE) });
  await reserved(text, 'order-1', 120);
  await shop.clockAt(MINUTE);
  expect(await shop.refused(() => shop.reserve(text, 'order-1'))).toBe('CODE_EXPIRED');
  await shop.redeemed(text, 'order-1');
});

test('a reservation that has run out is nothing that could be released', async () => {
  const { text } = await held();
  await reserved(text, 'order-1', 60);
  await shop.clockAt(MINUTE);
  expect(await shop.release(text, 'order-1')).toBe(false);
});
