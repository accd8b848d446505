/** Tiers under schedules: what two transactions, or two processes, make of one member's rank. */
import { beforeEach, expect, test } from 'vitest';
import type { MemberId } from '../../src/kernel/ids.ts';
import { awardPoints, evaluateTiersTask, reverseAward } from '../../src/loyalty/index.ts';
import { unique } from '../support/factories.ts';
import { ledgerOn } from '../support/ledger-sessions.ts';
import { overlapping, twoProcesses } from '../support/scenes.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { openTiers } from '../support/tiers.ts';
import { luck, rounds } from '../support/torture.ts';

const on = await twoProcesses();
const settings = { reupgradeBonus: 70, birthdayBonus: 9, reupgradeWindowMonths: 1_200 };
const [first, second] = (await sessions(on.databaseUrl, 2)) as [Session, Session];

type Own = Awaited<ReturnType<typeof openTiers>>;
let own: Own;
let member: MemberId;
/** Rank 2 was lost on 31 January 2022, and the clock stands at eight on 1 February. */
beforeEach(async () => {
  own = await openTiers(on.left, { settings });
  member = await own.member();
  await own.lot(member, 100);
  await own.live('2022-02-01');
});

const DOWN = ['QUALIFIED 1-2 2021-01-01', 'GRACE_OVER 2-1 2022-01-31'];
const UP = [...DOWN, 'QUALIFIED 1-2 2022-02-01'];
const soundly = async () => expect(await own.differences()).toEqual([]);

const awardOn = (session: Session, amount: number) =>
  ledgerOn(session, own.programId).award(member, unique('order'), amount);
const evaluateOn = async (session: Session, day: string) => {
  const sql = 'SELECT evaluate_tiers($1::uuid, $2::date, ARRAY[$3::uuid]) AS changed';
  const [row] = await session.query<{ changed: number }>(sql, [own.programId, day, member]);
  return row?.changed;
};

async function heldBy<T>(held: () => Promise<unknown>, beside: () => Promise<T>): Promise<T> {
  await first.begin();
  await held();
  const answer = await beside();
  await first.commit();
  return answer;
}

test('two awards cross a threshold, award, award, commit: the second is told AGAIN', async () => {
  const told = await heldBy(
    () => awardOn(first, 60),
    () => awardOn(second, 60),
  );
  expect(told).toMatchObject({ outcome: 'AGAIN' });
  await awardOn(second, 60);
  expect(await own.history(member)).toEqual(UP);
});

test('two awards cross a threshold, award, award, commit, commit: one upgrade, one bonus', async () => {
  await first.begin();
  await awardOn(first, 60);
  const answer = await overlapping(first, () => awardOn(second, 60));
  if ('outcome' in answer && answer.outcome === 'AGAIN') await awardOn(second, 60);
  expect(await own.history(member)).toEqual(UP);
  expect(await own.bonuses(member)).toEqual([70]);
  await soundly();
});

test('awards in two processes cross a threshold at once: one upgrade, one bonus', async () => {
  for (let round = rounds(5, 100); round > 0; round--) {
    const { programId } = own;
    const awards = Array.from({ length: 20 }, async (_, n) => {
      const order = { source: 'SHOPIFY', orderId: unique('order'), generation: 1, amount: 9 };
      const award = () => awardPoints(on.either(n), { programId, memberId: member, ...order });
      for (let answer = await award(); !answer.ok; ) answer = await award();
    });
    await Promise.all(awards);
    expect(await own.history(member)).toEqual(UP);
    expect(await own.bonuses(member)).toEqual([70]);
    own = await openTiers(on.left, { settings });
    member = await own.member();
    await own.lot(member, 100);
    await own.live('2022-02-01');
  }
});

/** On rank 2 again, and a refund has left too little: the evaluation of the next day finds that. */
async function aboutToFallShort() {
  await own.lot(member, 100, { orderId: 'back' });
  await own.live('2022-02-02');
  await own.reverse('back', 50);
  await own.tick(own.startOf('2022-02-03'));
}

test('award, evaluation, commit: it waits, and finds the points that came in', async () => {
  await aboutToFallShort();
  await first.begin();
  await awardOn(first, 30);
  expect(await overlapping(first, () => evaluateOn(second, '2022-02-03'))).toBe(0);
  expect(await own.grace(member)).toBeNull();
  await soundly();
});

test('evaluation, award, commit: the award is told AGAIN at once', async () => {
  await aboutToFallShort();
  const told = await heldBy(
    () => evaluateOn(first, '2022-02-03'),
    () => awardOn(second, 30),
  );
  expect(told).toMatchObject({ outcome: 'AGAIN' });
  expect(await own.grace(member)).toBe('2022-03-05');
});

test('reversal, evaluation, commit: it waits, and misses the points that were taken back', async () => {
  await own.lot(member, 100, { orderId: 'back' });
  await own.live('2022-02-03');
  await own.reverse('back', 20);
  await own.tick(own.startOf('2022-02-04'));
  await first.begin();
  await ledgerOn(first, own.programId).reverse('back', 1);
  expect(await overlapping(first, () => evaluateOn(second, '2022-02-04'))).toBe(1);
  expect(await own.grace(member)).toBe('2022-03-06');
  await soundly();
});

test('evaluation, evaluation, commit: the second waits, and finds nothing to do', async () => {
  await aboutToFallShort();
  await first.begin();
  expect(await evaluateOn(first, '2022-02-03')).toBe(1);
  expect(await overlapping(first, () => evaluateOn(second, '2022-02-03'))).toBe(0);
  const graces = (await own.told(member)).filter((line) => line.includes('grace_started'));
  expect(graces).toEqual(['2022-01-01 grace_started', '2022-02-03 grace_started']);
  await soundly();
});

test('evaluation, evaluation, commit, commit at the end of a grace: one rank down', async () => {
  await aboutToFallShort();
  await own.dawn('2022-02-03');
  await own.tick(own.startOf('2022-03-05'));
  await first.begin();
  await evaluateOn(first, '2022-03-05');
  await overlapping(first, () => evaluateOn(second, '2022-03-05'));
  expect(await own.history(member)).toEqual([...UP, 'GRACE_OVER 2-1 2022-03-05']);
  await soundly();
});

test('awards, refunds and evaluations in two processes at once: the history ties out', async () => {
  for (let round = rounds(4, 100); round > 0; round--) {
    const { programId } = own;
    const dice = luck(`tiers ${round}`);
    const day = own.days.plusDays(own.days.of(own.startOf('2022-02-01').getTime()), round);
    const { clock } = await on.left.db.program.findUniqueOrThrow({ where: { id: programId } });
    const start = own.startOf(day);
    if (clock && clock < start) await own.tick(start);
    const memberIds = [member];
    const orders = Array.from({ length: 6 }, () => unique('order'));
    const buy = orders.map((orderId, n) => async () => {
      const order = { source: 'SHOPIFY', orderId, generation: 1, amount: 40 };
      await awardPoints(on.either(n), { programId, memberId: member, ...order });
    });
    const back = orders.map((orderId, n) => async () => {
      const refund = { refundId: unique('back'), source: 'SHOPIFY', orderId, generation: 1 };
      await reverseAward(on.either(n + 1), { programId, ...refund, amount: 40 });
    });
    const judge = [0, 1, 2].map((n) => async () => {
      await evaluateTiersTask.work(on.either(n), { programId, day, memberIds });
    });
    await Promise.all(dice.shuffled([...buy, ...back, ...judge]).map((go) => go()));
    await soundly();
  }
});

/** Two that pay the member's birthday and meet: what the second answers. */
async function paidTwice() {
  await on.left.db.member.updateMany({
    where: { id: member },
    data: { birthday: new Date('1990-02-01') },
  });
  const sql = `SELECT pay_bonuses($1::uuid, 'BIRTHDAY', '2022-02-01', ARRAY[$2::uuid]) AS paid`;
  const payOn = async (session: Session) =>
    (await session.query<{ paid: number }>(sql, [own.programId, member]))[0]?.paid;
  await first.begin();
  expect(await payOn(first)).toBe(1);
  return overlapping(first, () => payOn(second));
}

test('bonus, bonus for the same birthday, commit: the second waits, and pays nobody', async () => {
  expect(await paidTwice()).toBe(0);
  await soundly();
});

test('bonus, bonus for the same birthday, commit, commit: one bonus', async () => {
  await paidTwice();
  const bonuses = { memberId: member, source: 'BIRTHDAY' } as const;
  expect(await on.left.db.ledgerBatch.count({ where: bonuses })).toBe(1);
});

test('a rank is removed while an award reaches it: the award reaches what is left', async () => {
  const { programId } = own;
  await first.begin();
  await first.query('DELETE FROM tiers WHERE program_id = $1 AND rank = 4', [programId]);
  const order = { source: 'SHOPIFY', orderId: unique('order'), generation: 1, amount: 1_000 };
  const award = () => awardPoints(on.left, { programId, memberId: member, ...order });
  expect(await overlapping(first, award)).toMatchObject({ ok: true });
  expect(await own.rank(member)).toBe(3);
  await soundly();
});

test('a page is judged, other days of warning, commit: they count from the next day on', async () => {
  const { programId } = own;
  const graced = await own.member();
  await own.lot(graced, 100, { orderId: 'back' });
  await own.live('2022-02-02');
  await own.reverse('back', 50);
  await own.live('2022-02-04');
  const due = { tierDue: new Date('2022-02-05') };
  await on.left.db.member.updateMany({ where: { programId }, data: due });
  await own.tick(own.startOf('2022-02-05'));
  // The page comes to a halt at its first member, who is in no grace.
  await first.begin();
  const hold = 'SELECT FROM members WHERE program_id = $1 AND id = $2 FOR UPDATE';
  await first.query(hold, [programId, member]);
  const page = 'SELECT evaluate_tiers($1::uuid, $2::date, ARRAY[$3::uuid, $4::uuid])';
  const judged = second.query(page, [programId, '2022-02-05', member, graced]);
  await first.isWaitedFor();
  await overlapping(first, () => own.set({ graceWarningDays: [29, 28, 27, 14] }));
  await judged;
  expect((await own.row(graced)).tierDue).toEqual(new Date('2022-02-06'));
});

test('a rank is removed while a grant reaches it: the grant reaches what is left', async () => {
  const { programId } = own;
  await own.lot(member, 300);
  await own.setLadder([
    [0, 0],
    [100, 80],
    [150, 80],
    [200, 80],
  ]);
  await first.begin();
  await first.query('DELETE FROM tiers WHERE program_id = $1 AND rank = 4', [programId]);
  const told = await overlapping(first, () => own.grant(member, 1));
  expect(told).toMatchObject({ points: 1n });
  expect(await own.rank(member)).toBe(3);
  await soundly();
});
