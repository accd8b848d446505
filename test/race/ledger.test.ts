/** The ledger under schedules: what two transactions, or two processes, do to one member. */
import { beforeEach, expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import type { MemberId } from '../../src/kernel/ids.ts';
import {
  type Awarded,
  awardPoints,
  type Refused,
  refundSpend,
  reverseAward,
  type Spent,
  spendPoints,
} from '../../src/loyalty/index.ts';
import { runWorker } from '../../src/workers/index.ts';
import { unique } from '../support/factories.ts';
import { type Ledger, openLedger } from '../support/ledger.ts';
import { type LedgerSession, ledgerOn } from '../support/ledger-sessions.ts';
import { overlapping, tally, twoProcesses } from '../support/scenes.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { luck, rounds } from '../support/torture.ts';

const CAP = 100;
const on = await twoProcesses();
const ledger = await openLedger(on.left, { settings: { expiryMonths: 1 } });
const capped = await openLedger(on.left, { settings: { dailyCap: CAP } });
const { programId } = ledger;
const [first, second] = (await sessions(on.databaseUrl, 2)) as [Session, Session];
const mine = ledgerOn(first, programId);
const theirs = ledgerOn(second, programId);

let member: MemberId;
beforeEach(async () => {
  member = await ledger.member();
});

const soundly = async (of: Ledger = ledger) => expect(await of.differences()).toEqual([]);
const lotsOf = (memberId: MemberId) =>
  on.left.db.ledgerBatch.findMany({ where: { memberId }, orderBy: { sequence: 'asc' } });
const pointsOf = async (memberId: MemberId) =>
  (await lotsOf(memberId)).map(({ points }) => Number(points));

/** BUSY says "ask again", so it is. */
async function insisting<T extends { ok: true }>(ask: () => Promise<T | Refused>) {
  for (;;) {
    const answer = await ask();
    if (answer.ok || answer.reason !== 'BUSY') return answer;
  }
}
type Buy = { memberId: MemberId; amount: number; orderId?: string; of?: Ledger };
const award = (n: number, { of = ledger, orderId = unique('order'), ...buy }: Buy) => {
  const said = { programId: of.programId, source: 'SHOPIFY', generation: 1, orderId, ...buy };
  return insisting<Awarded>(() => awardPoints(on.either(n), said));
};
const spend = (n: number, by: { memberId: MemberId; points: number; key?: string }) => {
  const { key: idempotencyKey = unique('spend'), ...rest } = by;
  return insisting<Spent>(() => spendPoints(on.either(n), { programId, idempotencyKey, ...rest }));
};
const newOrSame = (answer: Awarded) => (answer.alreadyAwarded ? 'same' : 'new');
const times = <T>(count: number, go: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => go(n));

/** What a transaction that is held open makes of a call beside it: told at once, not waiting. */
async function heldBy(held: () => Promise<unknown>, beside: () => Promise<unknown>) {
  await first.begin();
  await held();
  const answer = await beside();
  await first.commit();
  return answer;
}

test('one order for two members, award, award, commit: the second is told AGAIN', async () => {
  const [other, order] = [await ledger.member(), unique('order')];
  const told = await heldBy(
    () => mine.award(member, order, 70),
    () => theirs.award(other, order, 70),
  );
  expect(told).toMatchObject({ outcome: 'AGAIN' });
  expect(await theirs.award(other, order, 70)).toMatchObject({ outcome: 'PAYLOAD_DIFFERS' });
});

test('award, award of the same order, commit, commit: one lot', async () => {
  const order = unique('order');
  await first.begin();
  await mine.award(member, order, 70);
  await overlapping(first, () => theirs.award(member, order, 70));
  expect(await pointsOf(member)).toEqual([70]);
  await soundly();
});

test('the same award 50 times at once: one lot', async () => {
  for (let round = rounds(5, 200); round > 0; round--) {
    const memberId = await ledger.member();
    const orderId = unique('order');
    const answers = await Promise.all(
      times(50, (n) => award(n, { memberId, amount: 70, orderId })),
    );
    expect(tally(answers, newOrSame)).toEqual({ new: 1, same: 49 });
    expect(await pointsOf(memberId)).toEqual([70]);
  }
  await soundly();
});

test('one order for ten members at once: one of them has the lot', async () => {
  for (let round = rounds(3, 50); round > 0; round--) {
    const members = await Promise.all(times(10, () => ledger.member()));
    const orderId = unique('order');
    const go = (memberId: MemberId, n: number) => award(n, { memberId, amount: 70, orderId });
    const answers = await Promise.allSettled(members.map(go));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await Promise.all(members.map(pointsOf))).flat()).toEqual([70]);
  }
});

test('two awards at the edge of the cap, commit, commit: the cap exactly', async () => {
  const memberId = await capped.member();
  await first.begin();
  await ledgerOn(first, capped.programId).award(memberId, unique('order'), 70);
  const late = ledgerOn(second, capped.programId);
  await overlapping(first, async () => late.award(memberId, unique('order'), 70));
  await award(0, { of: capped, memberId, amount: 70 });
  expect((await pointsOf(memberId)).reduce((sum, points) => sum + points, 0)).toBe(CAP);
  await soundly(capped);
});

test('50 different awards at the edge of the cap at once: the cap exactly', async () => {
  for (let round = rounds(3, 100); round > 0; round--) {
    const memberId = await capped.member();
    await award(0, { of: capped, memberId, amount: 60 });
    const answers = await Promise.all(
      times(50, (n) => award(n, { of: capped, memberId, amount: 7 })),
    );
    expect(answers.every(({ ok }) => ok)).toBe(true);
    const points = await pointsOf(memberId);
    expect(points.filter((some) => some > 0)).toEqual([60, 7, 7, 7, 7, 7, 5]);
    expect(points).toHaveLength(51);
  }
  await soundly(capped);
});

test('spend, spend, commit: the second is told AGAIN at once, then refused', async () => {
  await ledger.lot(member, 100);
  const told = await heldBy(
    () => mine.spend(member, 60),
    () => theirs.spend(member, 60),
  );
  expect(told).toBe('AGAIN');
  expect(await theirs.spend(member, 60)).toBe('INSUFFICIENT_POINTS');
});

test('spend, spend, commit, commit: never more than there were', async () => {
  await ledger.lot(member, 100);
  await first.begin();
  await mine.spend(member, 60);
  await overlapping(first, () => theirs.spend(member, 60));
  expect(await ledger.points(member)).toEqual([40, 0, 0, 40]);
  await soundly();
});

test('one key for two members, spend, spend, commit, commit: one spend', async () => {
  const [other, key] = [await ledger.member(), unique('key')];
  for (const memberId of [member, other]) await ledger.lot(memberId, 100);
  await first.begin();
  await mine.spend(member, 30, key);
  await overlapping(first, () => theirs.spend(other, 30, key));
  await expect(spend(0, { memberId: other, points: 30, key })).rejects.toThrow('another payload');
  expect(await on.left.db.spend.count({ where: { programId, idempotencyKey: key } })).toBe(1);
});

test('one refundId for two orders, reverse, reverse, commit, commit: one refund', async () => {
  const [one, other, refundId] = [unique('order'), unique('order'), unique('back')];
  await ledger.lot(member, 100, { orderId: one });
  await ledger.lot(await ledger.member(), 100, { orderId: other });
  await first.begin();
  await mine.reverse(one, 50, refundId);
  await overlapping(first, () => theirs.reverse(other, 50, refundId));
  expect(await on.left.db.purchaseRefund.count({ where: { refundId } })).toBe(1);
  await expect(ledger.reverse(other, 50, { refundId })).rejects.toThrow('another payload');
});

test('awards and spends of one member in two processes: never negative, ties out', async () => {
  for (let round = rounds(2, 50); round > 0; round--) {
    const memberId = await ledger.member();
    const dice = luck(`one member ${round}`);
    const goes = times(40, (n) => [
      async () => ((await award(n, { memberId, amount: 10 + n })).ok ? 10 + n : 0),
      async () => ((await spend(n + 1, { memberId, points: 5 + n })).ok ? -(5 + n) : 0),
    ]).flat();
    const changes = await Promise.all(dice.shuffled(goes).map((go) => go()));
    const left = changes.reduce((sum, points) => sum + points, 0);
    expect(await ledger.points(memberId)).toEqual([left, 0, 0, left]);
    const lines = await on.left.db.ledgerEntry.findMany({ where: { memberId } });
    expect(lines.every(({ balanceAfter }) => balanceAfter >= 0n)).toBe(true);
  }
  await soundly();
});

test('award, reversal of the same order, commit: it waits, and takes the points back', async () => {
  const order = unique('order');
  await first.begin();
  await mine.award(member, order, 70);
  const late = await overlapping(first, () => theirs.reverse(order, 70));
  expect(late).toMatchObject({ outcome: 'REVERSED', reversed: 70, debt: 0 });
  expect(await ledger.points(member)).toEqual([0, 0, 0, 0]);
  await soundly();
});

test('reversal, award of its order, commit: the award is told AGAIN, then taken back', async () => {
  const order = unique('order');
  const told = await heldBy(
    () => mine.reverse(order, 30),
    () => theirs.award(member, order, 70),
  );
  expect(told).toMatchObject({ outcome: 'AGAIN' });
  const late = await theirs.award(member, order, 70);
  expect(late).toMatchObject({ outcome: 'AWARDED', points: 70, refunded: 30 });
  expect(await ledger.points(member)).toEqual([40, 0, 0, 40]);
});

test('award and two refunds of one order at once: both are taken back, none waits', async () => {
  for (let round = rounds(15, 500); round > 0; round--) {
    const [memberId, orderId] = [await ledger.member(), unique('order')];
    const back = (n: number, amount: number) => () =>
      reverseAward(on.either(n), {
        ...{ programId, source: 'SHOPIFY', generation: 1, orderId, amount },
        refundId: unique('back'),
      });
    const buy = () => award(round, { memberId, amount: 90, orderId });
    const goes = luck(`both ways ${round}`).shuffled([buy, back(round, 30), back(round + 1, 20)]);
    await Promise.all(goes.map((go) => go()));
    expect(await ledger.points(memberId)).toEqual([40, 0, 0, 40]);
    const waiting = { programId, orderId, pending: true };
    expect(await on.left.db.purchaseRefund.count({ where: waiting })).toBe(0);
  }
  await soundly();
});

test('spend, reversal, commit: it waits, takes what is left, and the rest is debt', async () => {
  const order = unique('order');
  await ledger.lot(member, 100, { orderId: order });
  await first.begin();
  await mine.spend(member, 60);
  const late = await overlapping(first, () => theirs.reverse(order, 100));
  expect(late).toMatchObject({ outcome: 'REVERSED', reversed: 40, debt: 60 });
  expect(await ledger.points(member)).toEqual([0, 0, 60, 0]);
  await soundly();
});

test('reversal, spend, award, commit: both are told AGAIN, the debt is paid first', async () => {
  const order = unique('order');
  await ledger.lot(member, 100, { orderId: order });
  await ledger.spent(member, 60);
  await first.begin();
  await mine.reverse(order, 100);
  expect(await theirs.spend(member, 10)).toBe('AGAIN');
  expect(await theirs.award(member, unique('order'), 80)).toMatchObject({ outcome: 'AGAIN' });
  await first.commit();
  expect(await theirs.spend(member, 10)).toBe('INSUFFICIENT_POINTS');
  await theirs.award(member, unique('order'), 80);
  expect(await ledger.points(member)).toEqual([20, 0, 0, 20]);
  await soundly();
});

test('reversals and spends in two processes at once: points or debt, never both', async () => {
  for (let round = rounds(5, 100); round > 0; round--) {
    const memberId = await ledger.member();
    const orders = times(6, () => unique('order'));
    for (const orderId of orders) await ledger.lot(memberId, 50, { orderId });
    const reversal = (orderId: string, n: number) => async () => {
      const said = { programId, source: 'SHOPIFY', generation: 1, orderId, amount: 50 };
      await reverseAward(on.either(n), { ...said, refundId: unique('back') });
      return 50;
    };
    const spends = times(8, (n) => async () => {
      const answer = await spend(n, { memberId, points: 35 });
      return answer.ok ? 35 : 0;
    });
    const goes = luck(`against ${round}`).shuffled([...orders.slice(1).map(reversal), ...spends]);
    const gone = (await Promise.all(goes.map((go) => go()))).reduce((sum, one) => sum + one, 0);
    const [balance = 0, , debt = 0] = await ledger.points(memberId);
    expect(balance - debt).toBe(300 - gone);
    expect(Math.min(balance, debt)).toBe(0);
  }
  await soundly();
});

test('refund of a spend, spend, commit: the spend is told AGAIN, then covered', async () => {
  await ledger.lot(member, 100);
  const spendId = await ledger.spent(member, 100);
  const told = await heldBy(
    () => mine.refund(spendId, 70),
    () => theirs.spend(member, 70),
  );
  expect(told).toBe('AGAIN');
  expect(await theirs.spend(member, 70)).toBe('SPENT');
  await soundly();
});

/** Two refunds of 60 that meet, of a spend of 80: what the second is told. */
async function refundTwice() {
  await ledger.lot(member, 100);
  const spendId = await ledger.spent(member, 80);
  await first.begin();
  await mine.refund(spendId, 60);
  return overlapping(first, () => theirs.refund(spendId, 60));
}

test('refund, refund of one spend, commit: it waits, and is told that it is too much', async () => {
  expect(await refundTwice()).toBe('TOO_MUCH');
});

test('refund, refund of one spend, commit, commit: no more than was spent', async () => {
  await refundTwice();
  expect(await ledger.points(member)).toEqual([80, 0, 0, 80]);
  await soundly();
});

test('refunds of a spend and spends in two processes at once: no more than was spent', async () => {
  for (let round = rounds(3, 100); round > 0; round--) {
    const memberId = await ledger.member();
    await ledger.lot(memberId, 100);
    const spendId = await ledger.spent(memberId, 100);
    const back = (n: number) => async () => {
      const idempotencyKey = unique('refund');
      const refund = { programId, spendId, points: 15, idempotencyKey };
      return refundSpend(on.either(n), refund).then(
        () => 15,
        () => 0,
      );
    };
    const out = (n: number) => async () =>
      (await spend(n, { memberId, points: 10 })).ok ? -10 : 0;
    const goes = luck(`refunds ${round}`).shuffled([...times(9, back), ...times(9, out)]);
    const changes = await Promise.all(goes.map((go) => go()));
    const left = changes.reduce((sum: number, points) => sum + points, 0);
    expect(changes.filter((points) => points === 15)).toHaveLength(6);
    expect(await ledger.points(memberId)).toEqual([left, 0, 0, left]);
  }
  await soundly();
});

/** A program whose one lot of each member expires within the day, and the clock's way past it. */
async function aboutToExpire(count: number) {
  const dying = await openLedger(on.left, {});
  const expiresAt = new Date('2021-01-01T18:00:00Z');
  const members = await Promise.all(times(count, () => dying.member()));
  for (const one of members) await dying.grant(one, 100, { expiresAt });
  const pass = () => dying.tick(new Date('2021-01-02T01:00:00Z'));
  return { dying, members, pass };
}

test('spend, the lot expires, sweep, commit: it waits, and writes off what is left', async () => {
  const { dying, members, pass } = await aboutToExpire(1);
  const [one] = members as [MemberId];
  const [spender, sweeper] = [first, second].map((session) =>
    ledgerOn(session, dying.programId),
  ) as [LedgerSession, LedgerSession];
  await first.begin();
  await spender.spend(one, 60);
  await pass();
  expect(await overlapping(first, () => sweeper.sweep([one]))).toBe(1);
  expect(await dying.journal(one)).toEqual(['AWARD 100 = 100', 'SPEND -60 = 40', 'EXPIRE -40 = 0']);
  await soundly(dying);
});

test('the lot expires, sweep, award, commit: the award is told AGAIN at once', async () => {
  const { dying, members, pass } = await aboutToExpire(1);
  const [one] = members as [MemberId];
  await pass();
  const told = await heldBy(
    () => ledgerOn(first, dying.programId).sweep([one]),
    () => ledgerOn(second, dying.programId).award(one, unique('order'), 10),
  );
  expect(told).toMatchObject({ outcome: 'AGAIN' });
});

test('spends while lots expire and two processes sweep: each is spent or written off', async () => {
  for (let round = rounds(2, 30); round > 0; round--) {
    const { dying, members, pass } = await aboutToExpire(20);
    const spends = luck(`expiry ${round}`)
      .shuffled([...members, ...members, ...members])
      .map((memberId, n) =>
        spendPoints(on.either(n), {
          ...{ programId: dying.programId, memberId, points: 40 },
          idempotencyKey: unique('spend'),
        }),
      );
    const { programId } = dying;
    const sweep = (deps: Deps) => runWorker(deps, { programId, task: 'EXPIRE_POINTS' });
    const swept = pass().then(() => Promise.all([sweep(on.left), sweep(on.right)]));
    await Promise.all([...spends, swept]);
    await Promise.all([sweep(on.left), sweep(on.right)]);
    for (const lot of await dying.lots()) expect(lot.drawn + lot.expired).toBe(100n);
    await soundly(dying);
  }
});
