import { expect, test } from 'vitest';
import { reserveCode, revokeCode, voidRedemption } from '../../src/coupons/index.ts';
import type { CodeId, RedemptionId } from '../../src/kernel/ids.ts';
import { unique } from '../support/factories.ts';
import {
  aRace,
  expectSound,
  type HeldCode,
  heldCodes,
  newOrRepeated,
  overlapping,
  redeem,
  tally,
} from '../support/scenes.ts';
import { sessions, untilAnswered } from '../support/sessions.ts';
import { luck, rounds } from '../support/torture.ts';

const { on, programId, first, second } = await aRace();

async function aCode(stackable = false): Promise<HeldCode> {
  const [code] = await heldCodes(on.left, { programId, count: 1, stackable });
  return code as HeldCode;
}

const orders = (count: number) => Array.from({ length: count }, () => unique('order'));
const live = (where: { codeId: string } | { orderId: string }) =>
  on.left.db.redemption.findMany({ where: { programId, voidedAt: null, ...where } });

test('redeem, redeem, commit: the second is told AGAIN at once, then that it is used', async () => {
  const { hash } = await aCode();
  await first.begin();
  const [mine] = await first.redeem(programId, [{ hash, orderId: unique('order') }]);
  expect(mine?.outcome).toBe('REDEEMED');
  const theirs = [{ hash, orderId: unique('order') }];
  expect(await second.redeem(programId, theirs)).toMatchObject([{ outcome: 'AGAIN' }]);
  await first.commit();
  const [late] = await second.redeem(programId, theirs);
  expect(late?.outcome).toBe('CODE_ALREADY_REDEEMED');
});

test('redeem, redeem, commit, commit: one redemption', async () => {
  const { id, hash } = await aCode();
  await first.begin();
  await first.redeem(programId, [{ hash, orderId: unique('order') }]);
  await overlapping(first, () => second.redeem(programId, [{ hash, orderId: unique('order') }]));
  expect(await live({ codeId: id })).toHaveLength(1);
});

test('redeem, redeem, roll back: the second order has it', async () => {
  const { id, hash } = await aCode();
  const orderId = unique('order');
  await first.begin();
  await first.redeem(programId, [{ hash, orderId: unique('order') }]);
  const waiting = untilAnswered(() => second.redeem(programId, [{ hash, orderId }]));
  await first.rollback();
  expect((await waiting).outcome).toBe('REDEEMED');
  expect(await live({ codeId: id })).toMatchObject([{ orderId }]);
});

test('100 orders redeem one code in two processes at once: one succeeds', async () => {
  const count = rounds(10, 1_000);
  for (const code of await heldCodes(on.left, { programId, count })) {
    const answers = await Promise.all(
      orders(100).map((orderId, i) =>
        redeem(on.either(i), { programId, code: code.plaintext, orderId }),
      ),
    );
    expect(tally(answers, newOrRepeated)).toEqual({ new: 1, CODE_ALREADY_REDEEMED: 99 });
  }
  await expectSound(on.left, programId);
});

test('100 orders redeem one code on 20 connections at once: one succeeds', async () => {
  const connections = await sessions(on.databaseUrl, 20);
  for (const { hash } of await heldCodes(on.left, { programId, count: rounds(5, 40) })) {
    const answers = await Promise.all(
      connections.map(async (connection) => {
        const outcomes = [];
        for (const orderId of orders(5)) {
          const go = () => connection.redeem(programId, [{ hash, orderId }]);
          outcomes.push((await untilAnswered(go)).outcome);
        }
        return outcomes;
      }),
    );
    expect(answers.flat().sort()).toEqual([
      ...Array.from({ length: 99 }, () => 'CODE_ALREADY_REDEEMED'),
      'REDEEMED',
    ]);
  }
  for (const connection of connections) await connection.close();
});

test('one order redeems one code 50 times at once: the first answer, 50 times', async () => {
  for (const code of await heldCodes(on.left, { programId, count: rounds(5, 40) })) {
    const orderId = unique('order');
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        redeem(on.either(i), { programId, code: code.plaintext, orderId }),
      ),
    );
    expect(tally(answers, newOrRepeated)).toEqual({ new: 1, repeated: 49 });
    expect(new Set(answers.map((answer) => answer.ok && answer.redemption.id)).size).toBe(1);
  }
});

test('two codes on one order, commit: the second is told AGAIN at once, then refused', async () => {
  const orderId = unique('order');
  const [mine, theirs] = [await aCode(), await aCode()];
  await first.begin();
  await first.redeem(programId, [{ hash: mine.hash, orderId }]);
  const item = [{ hash: theirs.hash, orderId }];
  expect(await second.redeem(programId, item)).toMatchObject([{ outcome: 'AGAIN' }]);
  await first.commit();
  const [late] = await second.redeem(programId, item);
  expect(late?.outcome).toBe('ORDER_ALREADY_DISCOUNTED');
});

test('two codes on one order, commit, commit: one discount', async () => {
  const orderId = unique('order');
  const [mine, theirs] = [await aCode(), await aCode()];
  await first.begin();
  await first.redeem(programId, [{ hash: mine.hash, orderId }]);
  await overlapping(first, () => second.redeem(programId, [{ hash: theirs.hash, orderId }]));
  expect(await live({ orderId })).toHaveLength(1);
});

test('a stackable code and one that is not, on one order, commit, commit: one of them', async () => {
  const orderId = unique('order');
  const [mine, theirs] = [await aCode(true), await aCode(false)];
  await first.begin();
  await first.redeem(programId, [{ hash: mine.hash, orderId }]);
  await overlapping(first, () => second.redeem(programId, [{ hash: theirs.hash, orderId }]));
  expect(await live({ orderId })).toHaveLength(1);
});

test('five codes on each of 20 orders in two processes at once: one discount each', async () => {
  for (let round = rounds(3, 20); round > 0; round--) {
    const codes = await heldCodes(on.left, { programId, count: 100 });
    const places = orders(20);
    const goes = codes.map((code, i) => () => {
      const orderId = places[i % 20] as string;
      return redeem(on.either(i + (i % 3)), { programId, code: code.plaintext, orderId });
    });
    const answers = await Promise.all(
      luck(`orders ${round}`)
        .shuffled(goes)
        .map((go) => go()),
    );
    expect(tally(answers, newOrRepeated)).toEqual({ new: 20, ORDER_ALREADY_DISCOUNTED: 80 });
  }
  await expectSound(on.left, programId);
});

async function redeemedFor(code: HeldCode, orderId: string): Promise<RedemptionId> {
  const answer = await redeem(on.left, { programId, code: code.plaintext, orderId });
  if (!answer.ok) throw new Error(answer.reason);
  return answer.redemption.id as RedemptionId;
}

test('void while its order is held: it waits, and until it answers the code is used', async () => {
  const code = await aCode();
  const orderId = unique('order');
  const redemptionId = await redeemedFor(code, orderId);
  await first.begin();
  await first.query('SELECT lock_order($1, $2)', [programId, orderId]);
  const voided = voidRedemption(on.right, { programId, redemptionId, reason: 'returned' });
  const other = [{ hash: code.hash, orderId: unique('order') }];
  await first.isWaitedFor();
  expect(await second.redeem(programId, other)).toMatchObject([
    { outcome: 'CODE_ALREADY_REDEEMED' },
  ]);
  await first.commit();
  await voided;
  expect(await second.redeem(programId, other)).toMatchObject([{ outcome: 'REDEEMED' }]);
});

test('void twice, redeem for its order and for others, all at once: at most one is live', async () => {
  for (const code of await heldCodes(on.left, { programId, count: rounds(25, 1_000) })) {
    const [old, ...others] = orders(4) as [string, ...string[]];
    const redemptionId = await redeemedFor(code, old);
    const voids = [0, 1].map((i) => () => {
      return voidRedemption(on.either(i), { programId, redemptionId, reason: `again ${i}` });
    });
    const redemptions = [old, ...others].map((orderId, i) => () => {
      return redeem(on.either(i), { programId, code: code.plaintext, orderId });
    });
    const goes = luck(code.id).shuffled([...voids, ...redemptions]);
    const answers = await Promise.all(goes.map((go) => go()));
    const said = answers.filter((answer) => 'voidReason' in answer);
    expect(said[0]).toEqual(said[1]);
    const done = answers.flatMap((answer) =>
      'ok' in answer && answer.ok && !answer.alreadyRedeemed ? [answer.redemption.id] : [],
    );
    expect((await live({ codeId: code.id })).map(({ id }) => id)).toEqual(done);
  }
  await expectSound(on.left, programId);
});

test('reserve for one order, redeem for another at once: the code serves one of them', async () => {
  for (const code of await heldCodes(on.left, { programId, count: rounds(25, 1_000) })) {
    const [holder, buyer] = orders(2) as [string, string];
    const asker = { kind: 'merchant' } as const;
    const { plaintext } = code;
    const goes = luck(code.id).shuffled([
      () =>
        reserveCode(on.left, { programId, code: plaintext, orderId: holder, ttlSeconds: 9, asker }),
      () => redeem(on.right, { programId, code: plaintext, orderId: buyer }),
    ]);
    const answers = await Promise.all(goes.map((go) => go()));
    expect(answers.filter((answer) => answer.ok)).toHaveLength(1);
  }
  await expectSound(on.left, programId);
});

test('revoke and redeem at once: one of them, and the other is told', async () => {
  for (const code of await heldCodes(on.left, { programId, count: rounds(25, 1_000) })) {
    const codeId = code.id as CodeId;
    const goes = luck(code.id).shuffled([
      () => revokeCode(on.left, { programId, codeId, reason: 'leaked' }).catch((e: Error) => e),
      () => redeem(on.right, { programId, code: code.plaintext, orderId: unique('order') }),
    ]);
    const answers = await Promise.all(goes.map((go) => go()));
    const { status } = await on.left.db.code.findUniqueOrThrow({
      where: { programId_id: { programId, id: codeId } },
    });
    const [redeemed] = answers.filter((answer) => 'ok' in answer);
    const isRevoked = !answers.some((answer) => answer instanceof Error);
    expect({ status, redeemed: redeemed?.ok }).toEqual(
      isRevoked ? { status: 'REVOKED', redeemed: false } : { status: 'REDEEMED', redeemed: true },
    );
  }
  await expectSound(on.left, programId);
});
