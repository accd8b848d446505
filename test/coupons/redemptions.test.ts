import { beforeEach, expect, test } from 'vitest';
import {
  importCodes,
  redemptionsOfOrder,
  revokeCode,
  voidRedemption,
} from '../../src/coupons/index.ts';
import type { CodeId, MemberId, RedemptionId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { aProgram, unique } from '../support/factories.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { after, openShop, type Shop } from '../support/shop.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const [other] = (await sessions(deps.config.databaseUrl, 1)) as [Session];
let shop: Shop;
beforeEach(async () => {
  shop = await openShop(deps);
});

type Input = Parameters<Shop['pool']>[1];

/** A code of a new pool in the hands of a new member. */
async function held(input?: Input) {
  const pool = await shop.pool(1, input);
  const member = await shop.member();
  const { code, plaintext } = await shop.claimed(pool.id, { memberId: member.id });
  return { poolId: pool.id, memberId: member.id, codeId: code.id as CodeId, text: plaintext };
}

const takeBack = (redemptionId: string, reason = 'returned') =>
  voidRedemption(deps, {
    programId: shop.programId,
    redemptionId: redemptionId as RedemptionId,
    reason,
  });
const revoke = (codeId: CodeId) =>
  revokeCode(deps, { programId: shop.programId, codeId, reason: 'fraud' });
const onBehalfOf = (owner: MemberId) => ({ asker: { kind: 'merchant' as const, owner } });

test('a redeemed code has its discount, its order and its time, and is spent', async () => {
  const code = await held({ discountValue: 1_500, maxDiscount: 1_000 });
  const first = await shop.redeemed(code.text, 'order-1', { orderAmount: 5_555 });
  expect(first).toMatchObject({
    alreadyRedeemed: false,
    code: { id: code.codeId, status: 'REDEEMED', redeemedAt: after(0) },
    redemption: { orderId: 'order-1', orderAmount: 5_555n, discountAmount: 833n, voidedAt: null },
  });
  expect(await redemptionsOfOrder(deps, { ...shop, orderId: 'order-1' })).toEqual([
    first.redemption,
  ]);
});

test.each([
  ['lower case', (text: string) => text.toLowerCase()],
  ['without dashes', (text: string) => text.replaceAll('-', '')],
  ['with spaces', (text: string) => ` ${text.replaceAll('-', ' ')} `],
  ['with look-alikes', (text: string) => text.replaceAll('0', 'o').replaceAll('1', 'l')],
])('a code is redeemed in %s', async (_, spell) => {
  const code = await held();
  const { code: redeemed } = await shop.redeemed(spell(code.text), 'order-1');
  expect(redeemed.id).toBe(code.codeId);
});

test('the same code and order again is the first answer, whatever the amount, and after the end too', async () => {
  const code = await held({ endsAt: after(1_000), minOrderAmount: 100 });
  const first = await shop.redeemed(code.text, 'order-1', { orderAmount: 10_000 });
  await shop.clockAt(2_000);
  for (const orderAmount of [10_000, 5, 0, Number.MAX_SAFE_INTEGER]) {
    const again = await unchanged(deps.db, () =>
      shop.redeemed(code.text, ' order-1 ', { orderAmount }),
    );
    expect(again).toEqual({ ...first, alreadyRedeemed: true });
  }
});

test('a code that was redeemed for one order is refused for another', async () => {
  const code = await held();
  await shop.redeemed(code.text, 'order-1');
  for (const order of ['order-2', 'ORDER-1', 'order-11'])
    expect(await shop.refused(() => shop.redeem(code.text, order))).toBe('CODE_ALREADY_REDEEMED');
});

test('a code that nobody knows is told from one that looks mistyped', async () => {
  const { text } = await held();
  const last = text.at(-1) === '0' ? '2' : '0';
  const redeem = (code: string) => unchanged(deps.db, () => shop.redeem(code, 'order-1'));
  const wrong = { ok: false, reason: 'CODE_UNKNOWN', mistyped: true };
  expect(await redeem(text.slice(0, -1) + last)).toEqual(wrong);
  expect(await redeem('SUMMER')).toEqual(wrong);
  expect(await redeem('PCT-0000-0000-0000-0000')).toEqual({ ...wrong, mistyped: false });
});

test('a code of another program is unknown', async () => {
  const code = await held();
  const place = await openShop(deps);
  expect(await shop.refused(() => place.redeem(code.text, 'order-1'))).toBe('CODE_UNKNOWN');
  expect(await place.release(code.text, 'order-1')).toBe(false);
  expect(await redemptionsOfOrder(deps, { ...place, orderId: 'order-1' })).toEqual([]);
});

test('a code that nobody has claimed is not redeemed', async () => {
  const { drawn } = await freeCode();
  expect(await shop.refused(() => shop.redeem(drawn, 'order-1'))).toBe('CODE_NOT_ALLOCATED');
  expect(await shop.refused(() => shop.reserve(drawn, 'order-1'))).toBe('CODE_NOT_ALLOCATED');
});

/** A code that nobody holds yet, of which the text is known. */
async function freeCode(): Promise<{ drawn: string }> {
  const pool = await shop.draft(0);
  const drawn = unique('FREE-CODE');
  await importCodes(deps, { programId: shop.programId, poolId: pool.id, codes: [drawn] });
  return { drawn };
}

test('a revoked code is not redeemed, nor is a redeemed one revoked', async () => {
  const [code, spent] = [await held(), await held()];
  const revoked = await revoke(code.codeId);
  expect(revoked).toMatchObject({ status: 'REVOKED', revokedAt: after(0), revokeReason: 'fraud' });
  expect(await unchanged(deps.db, () => revoke(code.codeId))).toEqual(revoked);
  expect(await shop.refused(() => shop.redeem(code.text, 'order-1'))).toBe('CODE_REVOKED');
  await shop.redeemed(spent.text, 'order-2');
  const error = await mistake(deps.db, () => revoke(spent.codeId));
  expect(error).toMatchObject({ code: 'CONFLICT' });
});

test("the merchant may say whose the code ought to be: a stranger's and a guest's are refused", async () => {
  const code = await held();
  const stranger = await shop.member();
  const pool = await shop.pool(1);
  const guests = await shop.claimed(pool.id, { email: 'guest@shop.example' });
  for (const text of [code.text, guests.plaintext])
    for (const ask of [shop.redeem, shop.reserve])
      expect(await shop.refused(() => ask(text, 'order-1', onBehalfOf(stranger.id)))).toBe(
        'NOT_THE_OWNER',
      );
  await shop.redeemed(code.text, 'order-1', onBehalfOf(code.memberId));
});

test('an order under the minimum is refused, and one of exactly the minimum is not', async () => {
  const code = await held({ minOrderAmount: 5_000 });
  const redeem = (orderAmount: number) => shop.redeem(code.text, 'order-1', { orderAmount });
  for (const amount of [0, 4_999])
    expect(await shop.refused(() => redeem(amount))).toBe('BELOW_MINIMUM_ORDER');
  expect(await redeem(5_000)).toMatchObject({ ok: true });
});

const PLACES = [false, true];
test.each(PLACES.flatMap((first) => PLACES.map((second) => [first, second] as const)))(
  'a code that stacks: %s, then one that does: %s, on one order',
  async (first, second) => {
    const [a, b, c] = [
      await held({ stackable: first }),
      await held({ stackable: second }),
      await held({ stackable: true }),
    ];
    await shop.redeemed(a.text, 'order-1');
    const stack = () => shop.redeem(b.text, 'order-1');
    if (first && second) {
      expect(await stack()).toMatchObject({ ok: true });
      await shop.redeemed(c.text, 'order-1');
    } else {
      expect(await shop.refused(stack)).toBe('ORDER_ALREADY_DISCOUNTED');
      await shop.redeemed(b.text, 'order-2');
    }
    expect(await shop.redeemed(a.text, 'order-1')).toMatchObject({ alreadyRedeemed: true });
  },
);

test('an order whose code was taken back may take another, and shows both', async () => {
  const [a, b] = [await held(), await held()];
  const first = await shop.redeemed(a.text, 'order-1');
  await takeBack(first.redemption.id);
  const second = await shop.redeemed(b.text, 'order-1');
  const shown = await redemptionsOfOrder(deps, { ...shop, orderId: 'order-1' });
  expect(shown.map(({ id, voidedAt }) => [id, voidedAt])).toEqual([
    [first.redemption.id, after(0)],
    [second.redemption.id, null],
  ]);
  expect(await shop.refused(() => shop.redeem(a.text, 'order-1'))).toBe('ORDER_ALREADY_DISCOUNTED');
});

test.each(['order-1', 'order-2'])('after a void the code may be redeemed for %s', async (order) => {
  const code = await held();
  const first = await shop.redeemed(code.text, 'order-1');
  await shop.clockAt(1_000);
  const voided = await takeBack(first.redemption.id);
  expect(voided).toMatchObject({ voidedAt: after(1_000), voidReason: 'returned' });
  expect(await shop.code(code.codeId)).toMatchObject({ status: 'ALLOCATED', redeemedAt: null });
  const second = await shop.redeemed(code.text, order);
  expect(second).toMatchObject({ alreadyRedeemed: false, redemption: { orderId: order } });
  expect(second.redemption.id).not.toBe(first.redemption.id);
});

test('voiding twice answers the first void, also when the code was redeemed again meanwhile', async () => {
  const code = await held();
  const { redemption } = await shop.redeemed(code.text, 'order-1');
  const voided = await takeBack(redemption.id);
  await shop.clockAt(5_000);
  expect(await unchanged(deps.db, () => takeBack(redemption.id, 'again'))).toEqual(voided);
  await shop.redeemed(code.text, 'order-2');
  expect(await unchanged(deps.db, () => takeBack(redemption.id, 'again'))).toEqual(voided);
  expect(await shop.code(code.codeId)).toMatchObject({ status: 'REDEEMED' });
});

test('of ten voids at once one gives the code back, and all answer the same', async () => {
  const code = await held();
  const { redemption } = await shop.redeemed(code.text, 'order-1');
  const voids = await Promise.all(Array.from({ length: 10 }, () => takeBack(redemption.id)));
  for (const voided of voids) expect(voided).toEqual(voids[0]);
});

test('a redemption, a code and a pool of another program are not found', async () => {
  const code = await held();
  const { redemption } = await shop.redeemed(code.text, 'order-1');
  const { programId } = await aProgram(deps);
  const [redemptionId, reason] = [redemption.id as RedemptionId, 'x'];
  for (const work of [
    () => voidRedemption(deps, { programId, redemptionId, reason }),
    () => revokeCode(deps, { programId, codeId: code.codeId, reason }),
  ])
    expect(await mistake(deps.db, work)).toMatchObject({ code: 'NOT_FOUND', field: 'id' });
});

test.each([
  ['input.code', { code: '' }],
  ['input.code', { code: 'x'.repeat(65) }],
  ['input.orderId', { orderId: ' ' }],
  ['input.orderId', { orderId: 'o'.repeat(201) }],
  ['input.orderAmount', { orderAmount: -1 }],
  ['input.orderAmount', { orderAmount: 0.5 }],
  ['input.orderAmount', { orderAmount: 2 ** 53 }],
])('bad input names %s and redeems nothing: %j', async (field, input) => {
  const { text } = await held();
  const { code, orderId, ...by } = { code: text, orderId: 'order-1', ...input };
  const error = await mistake(deps.db, () => shop.redeem(code, orderId, by));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field });
});

test('a reason is asked for, of a void and of a revocation', async () => {
  const code = await held();
  const { redemption } = await shop.redeemed(code.text, 'order-1');
  const { programId } = shop;
  for (const work of [
    () => takeBack(redemption.id, ' '),
    () => revokeCode(deps, { programId, codeId: code.codeId, reason: '' }),
  ])
    expect(await mistake(deps.db, work)).toMatchObject({ field: 'reason' });
});

test('a code whose row another transaction holds is BUSY after two seconds', async () => {
  const code = await held();
  await other.begin();
  await other.query('SELECT FROM codes WHERE id = $1 FOR UPDATE', [code.codeId]);
  expect(await shop.refused(() => shop.redeem(code.text, 'order-1'))).toBe('BUSY');
  await other.rollback();
  await shop.redeemed(code.text, 'order-1');
});
