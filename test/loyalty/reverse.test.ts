import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { DAY, NOON, openLedger } from '../support/ledger.ts';
import { rounds, seed } from '../support/torture.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const shop = await openLedger(deps);
const later = (days: number) => new Date(NOON.getTime() + days * DAY);

/** A program of its own with one member who was awarded 100 points for `o`. */
async function oneOrder(settings: Parameters<typeof openLedger>[1] = {}) {
  const own = await openLedger(deps, settings);
  const member = await own.member();
  const lot = await own.lot(member, 100, { orderId: 'o' });
  return { own, member, lot };
}

test('a full refund takes all of the points, from the lot of the order', async () => {
  const { own, member, lot } = await oneOrder();
  await own.lot(member, 40, { occurredAt: later(-5) });
  const done = await own.reverse('o', 100);
  expect(done).toEqual({
    reversed: 100n,
    debt: 0n,
    pending: false,
    alreadyReversed: false,
    memberId: member,
  });
  expect(await own.find(lot.id)).toMatchObject({ remaining: 0n, reversed: 100n, cancelled: 100n });
  expect(await own.points(member)).toEqual([40, 0, 0, 40]);
  expect((await own.journal(member)).at(-1)).toBe('REVERSE -100 = 40');
  expect((await own.events()).slice(-1)).toEqual(['points.reversed']);
});

test('partial refunds never drift: whatever the parts, the points are the share of the sum', async () => {
  const parts = fc.record({
    amount: fc.integer({ min: 1, max: 5_000 }),
    cuts: fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 6 }),
  });
  const own = await openLedger(deps, { settings: { baseRate: '12.345' } });
  const property = fc.asyncProperty(parts, async ({ amount, cuts }) => {
    const orderId = unique('parts');
    const lot = await own.lot(await own.member(), amount, { orderId });
    let refunded = 0;
    for (const cut of [...cuts, amount].map((one) => Math.min(one, amount))) {
      const part = Math.min(cut, amount - refunded);
      if (part === 0) break;
      await own.reverse(orderId, part);
      refunded += part;
      const { cancelled } = await own.find(lot.id);
      expect(cancelled).toBe((lot.points * BigInt(refunded)) / BigInt(amount));
    }
  });
  await fc.assert(property, { numRuns: rounds(15, 500), seed });
  expect(await own.differences()).toEqual([]);
});

describe('refunds that arrive before their award', () => {
  test('wait for it, write no points, and are taken with it', async () => {
    const own = await openLedger(deps);
    const member = await own.member();
    const early = await own.reverse('o', 30, { refundId: 'r' });
    expect(early).toMatchObject({ pending: true, reversed: 0n, debt: 0n, memberId: null });
    expect(await own.events()).toEqual([]);
    const lot = await own.lot(member, 100, { orderId: 'o' });
    expect(lot).toMatchObject({ points: 100n, remaining: 70n, cancelled: 30n });
    expect(await own.journal(member)).toEqual(['AWARD 100 = 100', 'REVERSE -30 = 70']);
    const again = await unchanged(deps.db, () => own.reverse('o', 30, { refundId: 'r' }));
    expect(again).toMatchObject({ pending: false, reversed: 30n, alreadyReversed: true });
    expect(await own.events()).toEqual(['points.awarded', 'points.reversed']);
    expect(await own.differences()).toEqual([]);
  });

  test('take back together no more than all of it', async () => {
    const own = await openLedger(deps);
    const member = await own.member();
    for (const amount of [60, 60, 60]) await own.reverse('o', amount);
    const lot = await own.lot(member, 100, { orderId: 'o' });
    expect(lot).toMatchObject({ cancelled: 100n, refunded: 100n, remaining: 0n });
    expect((await mistake(deps.db, () => own.reverse('o', 1))).code).toBe('CONFLICT');
    expect(await own.points(member)).toEqual([0, 0, 0, 0]);
    expect(await own.differences()).toEqual([]);
  });

  test('wait for their own generation and source', async () => {
    const own = await openLedger(deps);
    const member = await own.member();
    await own.reverse('o', 100, { generation: 2 });
    await own.reverse('o', 100, { source: 'RECEIPT' });
    const lot = await own.lot(member, 100, { orderId: 'o' });
    expect(lot.remaining).toBe(100n);
    await own.reverse('o', 100);
    expect(await own.lot(member, 100, { orderId: 'o', generation: 2 })).toMatchObject({
      points: 100n,
      remaining: 0n,
    });
  });
});

describe('what is not in the lot any more', () => {
  test('is taken from the other lots, oldest first, pending ones included', async () => {
    const { own, member } = await oneOrder();
    await own.spent(member, 100);
    const young = await own.lot(member, 50);
    const old = await own.lot(member, 30, { occurredAt: later(-2) });
    await own.set({ maturityDays: 5 });
    const waiting = await own.lot(member, 50, { occurredAt: later(-1) });
    expect(await own.reverse('o', 100)).toMatchObject({ reversed: 100n, debt: 0n });
    const left = [old, waiting, young].map(async ({ id }) => (await own.find(id)).remaining);
    expect(await Promise.all(left)).toEqual([0n, 0n, 30n]);
    expect(await own.differences()).toEqual([]);
  });

  test('becomes debt, which awards, grants and refunds pay before anything can be spent', async () => {
    const { own, member } = await oneOrder();
    const spend = await own.spent(member, 100);
    expect(await own.reverse('o', 100)).toMatchObject({ reversed: 0n, debt: 100n });
    expect(await own.points(member)).toEqual([0, 0, 100, 0]);
    const paying = await own.lot(member, 30);
    expect(paying).toMatchObject({ points: 30n, remaining: 0n, reversed: 30n, cancelled: 0n });
    await own.grant(member, 30);
    expect(await own.points(member)).toEqual([0, 0, 40, 0]);
    await own.refund(spend, 60);
    expect(await own.points(member)).toEqual([20, 0, 0, 20]);
    expect(await own.journal(member)).toEqual([
      ...['AWARD 100 = 100', 'SPEND -100 = 0', 'AWARD 30 = 30', 'REVERSE -30 = 0'],
      ...['AWARD 30 = 30', 'REVERSE -30 = 0', 'REFUND 60 = 60', 'REVERSE -40 = 20'],
    ]);
    expect(await own.differences()).toEqual([]);
  });

  test('is paid by pending points, too', async () => {
    const { own, member } = await oneOrder();
    await own.spent(member, 100);
    await own.reverse('o', 100);
    await own.set({ maturityDays: 5 });
    await own.lot(member, 150);
    expect(await own.points(member)).toEqual([0, 50, 0, 50]);
  });

  test('and has expired is forgone, swept or not: no other lot pays for it', async () => {
    for (const swept of [true, false]) {
      const { own, member, lot } = await oneOrder({ settings: { expiryMonths: 1 } });
      await own.spent(member, 30);
      await own.tick(later(40));
      if (swept) await own.sweep();
      const other = await own.grant(member, 200);
      expect(await own.reverse('o', 100)).toMatchObject({ reversed: 30n, debt: 0n });
      const { cancelled, forgone, expired, reversed } = await own.find(lot.id);
      expect([cancelled, forgone, expired, reversed]).toEqual([100n, 70n, 70n, 0n]);
      expect((await own.events()).at(-1)).toBe('points.reversed');
      expect((await own.find(other.id)).remaining).toBe(170n);
      expect(await own.differences()).toEqual([]);
    }
  });

  test('is not taken from lots that have expired and were not swept', async () => {
    const { own, member } = await oneOrder();
    await own.spent(member, 100);
    const gone = await own.grant(member, 500, { expiresAt: later(1) });
    await own.tick(later(2));
    expect(await own.reverse('o', 100)).toMatchObject({ reversed: 0n, debt: 100n });
    expect(await own.find(gone.id)).toMatchObject({ expired: 500n, reversed: 0n });
  });
});

describe('a refund', () => {
  test('again with its id changes nothing; with another payload it is a conflict', async () => {
    const { own } = await oneOrder();
    await own.reverse('o', 40, { refundId: 'r' });
    const again = await unchanged(deps.db, () => own.reverse('o', 40, { refundId: 'r' }));
    expect(again).toMatchObject({ alreadyReversed: true, reversed: 40n });
    for (const [order, amount, generation] of [
      ['o', 41, 1],
      ['p', 40, 1],
      ['o', 40, 2],
    ] as const) {
      const asked = () => own.reverse(order, amount, { refundId: 'r', generation });
      expect((await mistake(deps.db, asked)).code).toBe('CONFLICT');
    }
    expect(await own.reverse('o', 40, { refundId: 'r', source: 'RECEIPT' })).toMatchObject({
      pending: true,
    });
  });

  test('of more than was paid and not refunded is a conflict', async () => {
    const { own } = await oneOrder();
    expect((await mistake(deps.db, () => own.reverse('o', 101))).code).toBe('CONFLICT');
    await own.reverse('o', 60);
    expect((await mistake(deps.db, () => own.reverse('o', 41))).code).toBe('CONFLICT');
    await own.reverse('o', 40);
  });

  test('of one id for two orders at one moment is one refund and one conflict', async () => {
    const member = await shop.member();
    for (let round = 0; round < 10; round++) {
      const orders = [unique('two'), unique('two')];
      for (const orderId of orders) await shop.lot(member, 10, { orderId });
      const refundId = unique('same');
      const said = orders.map((order) =>
        shop.reverse(order, 1, { refundId }).then(
          () => 'done',
          (error: { code: string }) => error.code,
        ),
      );
      expect((await Promise.all(said)).sort()).toEqual(['CONFLICT', 'done']);
    }
  });

  test('of an award of nothing takes nothing', async () => {
    const own = await openLedger(deps, { settings: { minAmount: 500 } });
    const member = await own.member();
    await own.lot(member, 100, { orderId: 'o' });
    expect(await own.reverse('o', 100)).toMatchObject({ reversed: 0n, debt: 0n, pending: false });
    expect(await own.journal(member)).toEqual([]);
    expect(await own.events()).toEqual([]);
    expect(await own.differences()).toEqual([]);
  });

  test('of less than a point is told with the refund that makes it one', async () => {
    const own = await openLedger(deps, { settings: { baseRate: '1' } });
    await own.lot(await own.member(), 200, { orderId: 'o' });
    await own.reverse('o', 60);
    expect(await own.events()).toEqual(['points.awarded']);
    await own.reverse('o', 60);
    expect(await own.events()).toEqual(['points.awarded', 'points.reversed']);
  });

  test.each([
    ['source', { source: 'MANUAL' }],
    ['amount', { amount: 0 }],
    ['generation', { generation: 0 }],
    ['refundId', { refundId: '' }],
    ['orderId', { orderId: 'a\nb' }],
  ])('with a wrong %s is a mistake: %j', async (field, wrong) => {
    const error = await mistake(deps.db, () => shop.reverse('o', 1, wrong));
    expect([error.code, error.field]).toEqual(['BAD_USER_INPUT', `input.${field}`]);
  });
});
