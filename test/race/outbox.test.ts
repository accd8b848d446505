/** The order of a member's events: that of the locks under which they happened. */
import { expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import { readFeed, START } from '../../src/kernel/feed.ts';
import type { MemberId } from '../../src/kernel/ids.ts';
import { grantPoints, reverseAward, spendPoints } from '../../src/loyalty/index.ts';
import { unique } from '../support/factories.ts';
import { openLedger } from '../support/ledger.ts';
import { heldCodes, manyMembers, twoProcesses } from '../support/scenes.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { luck, PATIENCE, rounds } from '../support/torture.ts';

const on = await twoProcesses();
const ledger = await openLedger(on.left, { settings: { expiryMonths: 1 } });
const { programId } = ledger;
const [first, second, holder] = (await sessions(on.databaseUrl, 3)) as [Session, Session, Session];

/** Of a member, or of all: ids are drawn in the order of the writes, within a member's lock. */
async function outOfOrder(deps: Deps): Promise<unknown[]> {
  return deps.db.$queryRaw`
    SELECT member_id, id FROM (
      SELECT member_id, id, lag(id) OVER (PARTITION BY member_id ORDER BY xid, id) AS before
      FROM events WHERE program_id = ${programId}::uuid AND type LIKE 'points.%') e
    WHERE id < before`;
}

const awards = (members: MemberId[]) =>
  members.map((member_id, ord) => {
    const lot = { id: crypto.randomUUID(), member_id, order_id: unique('order'), amount: 70 };
    return { ord, tracked: true, source: 'SHOPIFY', generation: 1, ...lot };
  });
const spends = (members: MemberId[]) =>
  members.map((member_id, ord) => {
    const id = crypto.randomUUID();
    return { ord, id, member_id, points: 10, idempotency_key: id };
  });

/**
 * A call for two members comes to a halt after it has begun to write for the first one, whose row
 * somebody holds; then something happens to the second, and the call goes on.
 */
async function overtaken(
  members: [MemberId, MemberId],
  of: { call: () => Promise<unknown>; meanwhile: () => Promise<unknown> },
): Promise<void> {
  await holder.begin();
  await holder.query('SELECT id FROM members WHERE program_id = $1 AND id = $2 FOR UPDATE', [
    programId,
    members[0],
  ]);
  const answer = of.call();
  await holder.isWaitedFor();
  await of.meanwhile();
  await holder.commit();
  await answer;
}

const AWARD = 'SELECT outcome FROM award_points($1::uuid, $2::jsonb)';
const SPEND = 'SELECT outcome FROM spend_points($1::uuid, $2::jsonb)';
const pair = async () => [await ledger.member(), await ledger.member()] as [MemberId, MemberId];

test('awards for two members, award for the second, commit, commit: in the order of events', async () => {
  const members = await pair();
  await overtaken(members, {
    call: () => first.query(AWARD, [programId, JSON.stringify(awards(members))]),
    meanwhile: () => second.query(AWARD, [programId, JSON.stringify(awards([members[1]]))]),
  });
  expect(await outOfOrder(on.left)).toEqual([]);
});

test('spends of two members, spend of the second, commit, commit: in the order of events', async () => {
  const members = await pair();
  for (const member of members) await ledger.grant(member, 100);
  await overtaken(members, {
    call: () => first.query(SPEND, [programId, JSON.stringify(spends(members))]),
    meanwhile: () => second.query(SPEND, [programId, JSON.stringify(spends([members[1]]))]),
  });
  expect(await outOfOrder(on.left)).toEqual([]);
});

test('a sweep of two members, award for the second, commit, commit: in the order of events', async () => {
  const members = await pair();
  for (const member of members) await ledger.lot(member, 100);
  const SWEEP = "SELECT expire_points($1::uuid, '2031-01-01', $2::uuid[])";
  await overtaken(members, {
    call: () => first.query(SWEEP, [programId, members]),
    meanwhile: () => second.query(AWARD, [programId, JSON.stringify(awards([members[1]]))]),
  });
  expect(await outOfOrder(on.left)).toEqual([]);
});

test('a batch of redemptions has begun, a code is claimed, redeem: told AGAIN, and in order', async () => {
  const [held] = await heldCodes(on.left, { programId, count: 1 });
  if (!held) throw new Error('no code');
  await first.begin();
  // As the first row that a batch locks does: its transaction has its number from here on.
  await first.query('SELECT pg_current_xact_id()::text');
  await second.query(
    `UPDATE codes SET reserved_for = 'o', reserved_until = program_now(program_id) + '1 h'
     WHERE program_id = $1 AND id = $2`,
    [programId, held.id],
  );
  const [told] = await first.redeem(programId, [{ hash: held.hash, orderId: 'o' }]);
  await first.commit();
  expect(told?.outcome).toBe('AGAIN');
  const [answer] = await first.redeem(programId, [{ hash: held.hash, orderId: 'o' }]);
  expect(answer?.outcome).toBe('REDEEMED');
});

test('whatever two processes do to ten members at once: each one’s events are in order', async () => {
  const members = await manyMembers(on.left, { programId, count: 10 });
  const { below } = luck('outbox');
  const one = async (n: number) => {
    const deps = on.either(n);
    const memberId = members[below(members.length)] as MemberId;
    const idempotencyKey = unique('key');
    const orderId = unique('order');
    const said = { programId, source: 'SHOPIFY', generation: 1, orderId };
    const choices = [
      () => ledger.award(memberId, orderId, { amount: 100 }),
      () => spendPoints(deps, { programId, memberId, points: 30, idempotencyKey }),
      () => grantPoints(deps, { programId, memberId, points: 50, idempotencyKey, reason: 'x' }),
      async () => {
        await ledger.award(memberId, orderId, { amount: 80 });
        await reverseAward(deps, { ...said, refundId: unique('back'), amount: 40 });
      },
    ];
    await choices[below(choices.length)]?.();
  };
  for (let round = rounds(3, 100); round > 0; round--) {
    await Promise.all(Array.from({ length: 60 }, (_, n) => one(n)));
  }
  expect(await outOfOrder(on.left)).toEqual([]);
  expect(await ledger.differences()).toEqual([]);
});

/** Goes on from where it stands, as often as it is asked to. */
function reader(deps: Deps, program: string) {
  let after = START;
  const seen: bigint[] = [];
  return {
    seen,
    read: async () => {
      const events = await readFeed(deps, { programId: program, after, limit: 7 });
      after = events.at(-1) ?? after;
      seen.push(...events.map(({ id }) => id));
      return events.length;
    },
  };
}

/** Until it has them all, whatever else the server is doing. */
async function readAll(reading: ReturnType<typeof reader>, program: string): Promise<bigint[]> {
  const rows = await on.left.db.event.findMany({
    where: { programId: program },
    orderBy: [{ xid: 'asc' }, { id: 'asc' }],
    select: { id: true },
  });
  const giveUpAt = performance.now() + 60_000;
  while (reading.seen.length < rows.length && performance.now() < giveUpAt)
    if ((await reading.read()) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  return rows.map(({ id }) => id);
}

test(
  'an event is written, another committed, read, commit: the reader gets both, in order',
  PATIENCE,
  async () => {
    const own = await openLedger(on.left);
    const [slow, quick] = [await own.member(), await own.member()];
    const reading = reader(on.right, own.programId);
    await readAll(reading, own.programId);
    await first.begin();
    await first.query(AWARD, [own.programId, JSON.stringify(awards([slow]))]);
    await second.query(AWARD, [own.programId, JSON.stringify(awards([quick]))]);
    await reading.read();
    await first.commit();
    const all = await readAll(reading, own.programId);
    expect(reading.seen).toEqual(all);
  },
);

test(
  'readers among writers: each gets every event, once, in the same order',
  PATIENCE,
  async () => {
    const own = await openLedger(on.left);
    const members = await manyMembers(on.left, { programId: own.programId, count: 20 });
    const readers = [on.left, on.right].map((deps) => reader(deps, own.programId));
    let writing = true;
    const tailing = readers.map(async (one) => {
      while (writing) await one.read();
    });
    for (let round = rounds(5, 200); round > 0; round--)
      await Promise.all(
        members.map((memberId) => own.award(memberId, unique('order'), { amount: 10 })),
      );
    writing = false;
    await Promise.all(tailing);
    for (const one of readers) expect(await readAll(one, own.programId)).toEqual(one.seen);
  },
);
