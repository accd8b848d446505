/** Points given by hand under schedules: they take no tracker and no order, but the member. */
import { beforeEach, expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import { isBusy } from '../../src/kernel/errors.ts';
import type { MemberId } from '../../src/kernel/ids.ts';
import { grantPoints, reverseAward } from '../../src/loyalty/index.ts';
import { unique } from '../support/factories.ts';
import { openLedger } from '../support/ledger.ts';
import { ledgerOn } from '../support/ledger-sessions.ts';
import { overlapping, twoProcesses } from '../support/scenes.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { luck, rounds } from '../support/torture.ts';

const on = await twoProcesses();
const ledger = await openLedger(on.left);
const { programId } = ledger;
const [first, second] = (await sessions(on.databaseUrl, 2)) as [Session, Session];
const mine = ledgerOn(first, programId);
const theirs = ledgerOn(second, programId);

let member: MemberId;
let order: string;
/** The member has spent what the order brought. */
beforeEach(async () => {
  member = await ledger.member();
  order = unique('order');
  await ledger.lot(member, 100, { orderId: order });
  await ledger.spent(member, 100);
});

const times = <T>(count: number, go: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => go(n));
const soundly = async () => expect(await ledger.differences()).toEqual([]);

/** Asks again where the others kept the member's lock for too long, as it was told to. */
async function grantInTheEnd(deps: Deps, gift: Parameters<typeof grantPoints>[1]) {
  for (let tries = 0; ; tries++) {
    try {
      return await grantPoints(deps, gift);
    } catch (error) {
      if (!isBusy(error) || tries === 10) throw error;
    }
  }
}

test('the same grant 50 times at once: one lot', async () => {
  for (let round = rounds(3, 100); round > 0; round--) {
    const memberId = await ledger.member();
    const gift = { programId, memberId, points: 70, reason: 'a gift', idempotencyKey: unique('g') };
    const lots = await Promise.all(times(50, (n) => grantInTheEnd(on.either(n), gift)));
    expect(new Set(lots.map(({ id }) => id)).size).toBe(1);
    expect(await ledger.points(memberId)).toEqual([70, 0, 0, 70]);
  }
  await soundly();
});

test('reversal, grant, commit: it waits, and pays the debt first', async () => {
  await first.begin();
  await mine.reverse(order, 100);
  await overlapping(first, () => ledger.grant(member, 130));
  expect(await ledger.points(member)).toEqual([30, 0, 0, 30]);
  await soundly();
});

test('grant, reversal, commit: it waits, takes what was given, and the rest is debt', async () => {
  await first.begin();
  await mine.grant(member, 70);
  const late = await overlapping(first, () => theirs.reverse(order, 100));
  expect(late).toMatchObject({ outcome: 'REVERSED', reversed: 70, debt: 30 });
  expect(await ledger.points(member)).toEqual([0, 0, 30, 0]);
  await soundly();
});

test('grants and reversals in two processes at once: points or debt, never both', async () => {
  for (let round = rounds(5, 100); round > 0; round--) {
    const memberId = await ledger.member();
    const orders = times(5, () => unique('order'));
    for (const orderId of orders) await ledger.lot(memberId, 50, { orderId });
    await ledger.spent(memberId, 230);
    const reversals = orders.map((orderId, n) => async () => {
      const purchase = { source: 'SHOPIFY', orderId, generation: 1, amount: 50 };
      await reverseAward(on.either(n), { programId, refundId: unique('back'), ...purchase });
    });
    const grants = times(6, (n) => async () => {
      const gift = { programId, memberId, points: 35, reason: 'a gift' };
      await grantPoints(on.either(n), { ...gift, idempotencyKey: unique('grant') });
    });
    const goes = luck(`grants ${round}`).shuffled([...reversals, ...grants]);
    await Promise.all(goes.map((go) => go()));
    // 250 earned and taken back, 230 spent, 210 given.
    expect(await ledger.points(memberId)).toEqual([0, 0, 20, 0]);
  }
  await soundly();
});
