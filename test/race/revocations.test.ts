/** Codes that are replaced by fresh ones while others are claimed, redeemed, issued and paused. */
import { beforeAll, expect, test } from 'vitest';
import {
  type Code,
  pausePool,
  reconcileCodes,
  revokeCodes,
  voidRedemption,
  walletsOf,
} from '../../src/coupons/index.ts';
import type { MemberId, PoolId, RedemptionId } from '../../src/kernel/ids.ts';
import { aPool, unique } from '../support/factories.ts';
import { aCampaign, issue } from '../support/recipients.ts';
import { revokeAll, revokePage } from '../support/revocations.ts';
import { aRace, claim, expectSound, manyMembers, redeem } from '../support/scenes.ts';

import { luck, rounds } from '../support/torture.ts';

const { on, programId, first, second } = await aRace();
beforeAll(async () => {
  // A first call takes longer than a test waits for what is to overlap with it.
  await replaceAll((await aHeld()).poolId);
});

const replaceAll = (poolId: PoolId) => revokeAll(on.right, { programId, poolId, replace: true });
const codeOf = (id: string): Promise<Code> =>
  on.left.db.code.findUniqueOrThrow({ where: { programId_id: { programId, id } } });

/** A code that its holder has seen. */
async function aHeld(codes = 3) {
  const { id: poolId } = await aPool(on.left, { programId, codes });
  const [memberId] = (await manyMembers(on.left, { programId, count: 1 })) as [MemberId];
  const held = await claim(on.left, { programId, poolId, memberId, actor: 'key:a' });
  if (!held.ok) throw new Error(held.reason);
  return { poolId, id: held.code.id };
}

test('the last code is being claimed, replace, roll back: it is waited for, and given', async () => {
  const { poolId, id } = await aHeld(2);
  const [other] = (await manyMembers(on.left, { programId, count: 1 })) as [MemberId];
  await first.begin();
  await first.claim(programId, [{ poolId, memberId: other }]);
  const replacing = replaceAll(poolId);
  await Promise.race([replacing, first.isWaitedFor()]);
  await first.rollback();
  expect(await replacing).toMatchObject({ revoked: 1, replaced: 1 });
  expect((await codeOf(id)).replacedById).not.toBeNull();
});

test('a free code is had, replace beside what is recycled, then the campaign’s row: no deadlock', async () => {
  const { poolId } = await aHeld(3);
  const email = `${unique('unseen')}@race.example`;
  const made = await aCampaign(on.left, { programId, poolId, recipients: [{ email }] });
  const { campaignId } = made;
  await issue(on.left, { programId, poolId, recipientId: made.recipients[0] as string });
  await first.begin();
  await first.query(
    `SELECT id FROM codes WHERE program_id = $1 AND pool_id = $2 AND status = 'AVAILABLE'
     FOR UPDATE`,
    [programId, poolId],
  );
  await second.begin();
  const replacing = revokePage(second, { programId, poolId, replace: true }).catch(
    (error: Error) => error,
  );
  await Promise.race([replacing, first.isWaitedFor()]);
  await first.query('UPDATE campaigns SET name = name WHERE program_id = $1 AND id = $2', [
    ...[programId, campaignId],
  ]);
  await first.commit();
  expect(await replacing).toBeUndefined();
  await second.commit();
  expect(await reconcileCodes(on.left, { programId })).toEqual([]);
});

test('replace, a recipient of the holder claims, commit: AGAIN, then the fresh code is noted', async () => {
  const email = `${unique('holder')}@race.example`;
  const { id: poolId } = await aPool(on.left, { programId, codes: 2 });
  await claim(on.left, { programId, poolId, email, actor: 'key:a' });
  const made = await aCampaign(on.left, { programId, poolId, recipients: [{ email }] });
  const item = { poolId, recipientId: made.recipients[0] as string, actor: null };
  await first.begin();
  await revokePage(first, { programId, poolId, replace: true });
  expect(await second.claim(programId, [item])).toEqual([{ outcome: 'AGAIN', codeId: null }]);
  await first.commit();
  const [answer] = await second.claim(programId, [item]);
  expect(answer?.outcome).toBe('HELD');
  const where = { programId, id: item.recipientId };
  const recipient = await on.left.db.campaignRecipient.findFirstOrThrow({ where });
  expect(recipient.codeId).toBe(answer?.codeId);
  expect((await codeOf(answer?.codeId as string)).status).toBe('ALLOCATED');
});

test('replace, pause, commit: it answers after the replacements are settled', async () => {
  const { poolId, id } = await aHeld();
  await first.begin();
  await revokePage(first, { programId, poolId, replace: true });
  const paused = pausePool(on.right, { programId, poolId });
  const early = await Promise.race([
    paused.then(() => 'answered'),
    first.isWaitedFor().then(() => 'waits'),
  ]);
  await first.commit();
  expect([early, (await paused).status]).toEqual(['waits', 'PAUSED']);
  expect((await codeOf(id)).replacedById).not.toBeNull();
});

test('the same key ten times at once in two processes: one revocation', async () => {
  for (let round = rounds(2, 20); round > 0; round--) {
    const { poolId } = await aHeld(4);
    const asked = { programId, poolId, reason: 'x', replace: true, idempotencyKey: unique('key') };
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => revokeCodes(on.either(i), asked)),
    );
    expect(answers).toEqual(Array(10).fill({ revoked: 1, recycled: 0, replaced: 1 }));
    expect(await on.left.db.revocation.count({ where: { programId, poolId } })).toBe(1);
  }
});

/** Each has one code that counts, whatever became of the ones before. */
async function expectOneEach(members: MemberId[]) {
  const wallets = await walletsOf(on.left, { programId, ids: members });
  const live = wallets.map((wallet) => wallet.filter(({ status }) => status !== 'REVOKED').length);
  expect(live).toEqual(members.map(() => 1));
}

test('claims, redemptions, voids and two revocations with replacements at once: one code each', async () => {
  for (let round = rounds(2, 25); round > 0; round--) {
    const { id: poolId } = await aPool(on.left, { programId, codes: 200 });
    const members = await manyMembers(on.left, { programId, count: 60 });
    const holders = members.slice(0, 30);
    const ask = (memberId: MemberId, i: number) =>
      claim(on.either(i), { programId, poolId, memberId, actor: 'key:a' });
    await Promise.all(holders.map(ask));
    const spend = async (memberId: MemberId, i: number) => {
      const held = await ask(memberId, i);
      if (!held.ok) throw new Error(held.reason);
      const of = { programId, code: held.plaintext, orderId: unique('order') };
      const done = await redeem(on.either(i + 1), of);
      const redemptionId = (done.ok ? done.redemption.id : '') as RedemptionId;
      if (done.ok && i % 2)
        await voidRedemption(on.either(i), { programId, redemptionId, reason: 'x' });
    };
    const work: (() => Promise<unknown>)[] = [
      ...members.map((memberId, i) => () => ask(memberId, i)),
      ...holders.map((memberId, i) => () => spend(memberId, i)),
      () => replaceAll(poolId),
      () => replaceAll(poolId),
    ];
    const shuffled = luck(`replace ${round}`).shuffled(work);
    await Promise.all(shuffled.map((go) => go()));
    // What was issued to replace and nobody had seen, the second revocation may have given back.
    await Promise.all(members.map(ask));
    await expectOneEach(members);
  }
  await expectSound(on.left, programId);
});
