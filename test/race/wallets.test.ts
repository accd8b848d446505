/** One person by several names, and codes that are taken back while somebody uses them. */
import { beforeAll, expect, test } from 'vitest';
import { type Code, revealCodes } from '../../src/coupons/index.ts';
import type { CampaignId, MemberId, PoolId } from '../../src/kernel/ids.ts';
import { upsertMember } from '../../src/members/index.ts';
import { aMember, aPool, unique } from '../support/factories.ts';
import { aCampaign } from '../support/recipients.ts';
import { revokeAll, revokePage } from '../support/revocations.ts';
import {
  aRace,
  claim,
  expectSound,
  manyMembers,
  newOrHeld,
  overlapping,
  tally,
} from '../support/scenes.ts';
import { hashOf, type Session } from '../support/sessions.ts';
import { luck, rounds } from '../support/torture.ts';

const { on, programId, first, second } = await aRace();
beforeAll(async () => {
  // A first call takes longer than a test waits for what is to overlap with it.
  await verify(unique('warm'), `${unique('warm')}@example.com`);
  const { poolId } = await aHeld();
  await revokeAll(on.right, { programId, poolId, replace: true });
});

const codeOf = (id: string): Promise<Code> =>
  on.left.db.code.findUniqueOrThrow({ where: { programId_id: { programId, id } } });
const again = [{ outcome: 'AGAIN', codeId: null }];

/** A member with a verified address, and as a recipient in both ways. */
async function aPerson(codes = 5) {
  const { id: poolId } = await aPool(on.left, { programId, codes });
  const email = `${unique('person')}@example.com`;
  const { id: memberId } = await aMember(on.left, { programId, email, emailVerified: true });
  const recipients = [{ email }, { memberId }];
  const campaign = await aCampaign(on.left, { programId, poolId, recipients });
  const [byAddress, byMember] = campaign.recipients as string[] as [string, string];
  return { poolId, memberId, email, byAddress, byMember, campaignId: campaign.campaignId };
}

test('member claims, recipient of the same person claims, commit: AGAIN, then the same code', async () => {
  const { poolId, memberId, byAddress, byMember } = await aPerson();
  await first.begin();
  const [mine] = await first.claim(programId, [{ poolId, memberId }]);
  for (const recipientId of [byAddress, byMember])
    expect(await second.claim(programId, [{ poolId, recipientId }])).toEqual(again);
  await first.commit();
  for (const recipientId of [byAddress, byMember])
    expect(await second.claim(programId, [{ poolId, recipientId }])).toEqual([
      { outcome: 'HELD', codeId: mine?.codeId },
    ]);
});

test('a person claims by every name in two processes at once: one code', async () => {
  for (let round = rounds(3, 40); round > 0; round--) {
    const { poolId, memberId, email, byAddress, byMember } = await aPerson(20);
    const names = [{ memberId }, { email }, { recipientId: byAddress }, { recipientId: byMember }];
    const claims = luck(`names ${round}`)
      .shuffled([...names, ...names, ...names])
      .map((who, i) =>
        claim(on.either(i), { programId, poolId: poolId as PoolId, actor: `key:${i}`, ...who }),
      );
    expect(tally(await Promise.all(claims), newOrHeld)).toEqual({ new: 1, held: 11 });
  }
  await expectSound(on.left, programId);
});

const verify = (externalId: string, email: string) =>
  upsertMember(on.right, { programId, input: { externalId, email, emailVerified: true } });

test('recipient claims, address is verified, commit: the code is the member’s', async () => {
  const { id: poolId } = await aPool(on.left, { programId, codes: 2 });
  const email = `${unique('late')}@example.com`;
  const made = await aCampaign(on.left, { programId, poolId, recipients: [{ email }] });
  await first.begin();
  const [mine] = await first.claim(programId, [
    { poolId, recipientId: made.recipients[0] as string },
  ]);
  const member = await overlapping(first, () => verify(unique('late'), email));
  if (member instanceof Error) throw member;
  expect(await codeOf(mine?.codeId as string)).toMatchObject({
    ...{ memberId: member.id, ownerMatch: 2 },
  });
});

/** A guest's code, and two members who have that address, not verified. */
async function aRivalry() {
  const { id: poolId } = await aPool(on.left, { programId, codes: 2 });
  const email = `${unique('rivals')}@example.com`;
  const guest = await claim(on.left, { programId, poolId, email, actor: 'key:a' });
  if (!guest.ok) throw new Error(guest.reason);
  const [A, B] = [
    await aMember(on.left, { programId, email }),
    await aMember(on.left, { programId, email }),
  ];
  return { email, codeId: guest.code.id, A, B };
}

const conflictsOf = async (codeId: string) => {
  const rows = await on.left.db.ownershipConflict.findMany({ where: { programId, codeId } });
  return rows.map(({ ownerId, otherId }) => ({ ownerId, otherId }));
};

test('two members verify one address, commit: the first owns, the second is recorded', async () => {
  const { email, codeId, A, B } = await aRivalry();
  await first.begin();
  await first.query('SELECT lock_identities($1, $2)', [programId, [`email:${email}`]]);
  await first.query('UPDATE members SET email_verified = true WHERE program_id = $1 AND id = $2', [
    programId,
    A.id,
  ]);
  await first.query('SELECT bind_codes($1, $2, $3)', [programId, A.id, email]);
  await overlapping(first, () => verify(B.externalId, email));
  expect(await codeOf(codeId)).toMatchObject({ memberId: A.id, ownerMatch: 3 });
  expect(await conflictsOf(codeId)).toEqual([{ ownerId: A.id, otherId: B.id }]);
});

test('two members verify one address at once: one owner, one conflict', async () => {
  for (let round = rounds(5, 60); round > 0; round--) {
    const { email, codeId, A, B } = await aRivalry();
    await Promise.all([A, B].map(({ externalId }) => verify(externalId, email)));
    const { memberId } = await codeOf(codeId);
    const other = memberId === A.id ? B.id : A.id;
    expect(await conflictsOf(codeId)).toEqual([{ ownerId: memberId, otherId: other }]);
  }
});

/** A code that was issued and that nobody has seen, and the campaign that takes it back. */
async function anUnseen() {
  const person = await aPerson();
  const { poolId, byAddress: recipientId } = person;
  const [issued] = await second.claim(programId, [{ poolId, recipientId, actor: null }]);
  const codeId = issued?.codeId as string;
  return { ...person, codeId };
}

const revokeCampaign = (campaignId: string) =>
  revokeAll(on.right, { programId, campaignId: campaignId as CampaignId });

test('recycle, the holder claims the unseen code, commit: AGAIN, then another code', async () => {
  const { poolId, memberId, campaignId, codeId } = await anUnseen();
  await first.begin();
  await revokePage(first, { programId, campaignId });
  expect(await second.claim(programId, [{ poolId, memberId }])).toEqual(again);
  await first.commit();
  expect(await codeOf(codeId)).toMatchObject({ status: 'AVAILABLE', revealedAt: null });
  const [answer] = await second.claim(programId, [{ poolId, memberId }]);
  expect(answer?.outcome).toBe('CLAIMED');
  await expectSound(on.left, programId);
});

test('recycle, the unseen code is issued to the same person again, commit: AGAIN', async () => {
  const { poolId, byMember: recipientId, campaignId } = await anUnseen();
  await first.begin();
  await revokePage(first, { programId, campaignId });
  const item = { poolId, recipientId, actor: null };
  expect(await second.claim(programId, [item])).toEqual(again);
  await first.commit();
  expect((await second.claim(programId, [item]))[0]?.outcome).toBe('CLAIMED');
});

test('the holder claims the unseen code, recycle, commit: it was seen, so it is retired', async () => {
  const { poolId, memberId, campaignId, codeId } = await anUnseen();
  await first.begin();
  const [answer] = await first.claim(programId, [{ poolId, memberId }]);
  expect(answer).toEqual({ outcome: 'HELD', codeId });
  const done = await overlapping(first, () => revokeCampaign(campaignId));
  expect(done).toEqual({ revoked: 1, recycled: 0, replaced: 0 });
  expect((await codeOf(codeId)).status).toBe('REVOKED');
});

const itemOf = ({ id, memberId, claimEmail }: Code) =>
  JSON.stringify([{ id, held: true, member_id: memberId, claim_email: claimEmail }]);

test('reveal, recycle, commit: it was seen, so it is retired', async () => {
  const { campaignId, codeId } = await anUnseen();
  await first.begin();
  await first.query(`SELECT reveal_codes($1, $2, 'READ', 'key:a')`, [
    ...[programId, itemOf(await codeOf(codeId))],
  ]);
  await overlapping(first, () => revokeCampaign(campaignId));
  expect((await codeOf(codeId)).status).toBe('REVOKED');
});

test('recycle, reveal, commit: the text is not given, and nobody has seen it', async () => {
  const { campaignId, codeId } = await anUnseen();
  const looked = await codeOf(codeId);
  await first.begin();
  await revokePage(first, { programId, campaignId });
  const reading = { programId, codes: [looked], actor: 'key:a' } as const;
  const answer = await overlapping(first, () => revealCodes(on.left, reading));
  expect(answer).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(await codeOf(codeId)).toMatchObject({ status: 'AVAILABLE', revealedAt: null });
});

/** A code that its holder has seen. */
async function aHeld(codes = 3) {
  const { id: poolId } = await aPool(on.left, { programId, codes });
  const [memberId] = (await manyMembers(on.left, { programId, count: 1 })) as [MemberId];
  const held = await claim(on.left, { programId, poolId, memberId, actor: 'key:a' });
  if (!held.ok) throw new Error(held.reason);
  const { id } = held.code;
  return {
    poolId,
    memberId,
    id,
    code: held.plaintext,
    hash: await hashOf(on.left, { programId, id }),
  };
}

const revokePool = (poolId: PoolId) => revokeAll(on.right, { programId, poolId });

test('redeem, revoke, commit: it waits, and leaves the code redeemed', async () => {
  const { poolId, id, hash } = await aHeld();
  await first.begin();
  await first.redeem(programId, [{ hash, orderId: unique('order') }]);
  const done = await overlapping(first, () => revokePool(poolId));
  expect(done).toMatchObject({ revoked: 2 });
  expect(await codeOf(id)).toMatchObject({ status: 'REDEEMED', revokedAt: null });
});

test('revoke, redeem, commit: the order is told AGAIN at once, then that it is revoked', async () => {
  const { poolId, hash } = await aHeld();
  await first.begin();
  await revokePage(first, { programId, poolId });
  const item = { hash, orderId: unique('order') };
  expect(await second.redeem(programId, [item])).toEqual(again);
  await first.commit();
  expect((await second.redeem(programId, [item]))[0]?.outcome).toBe('CODE_REVOKED');
});

const reserve = async (by: Session, { hash, orderId }: { hash: string; orderId: string }) => {
  const item = { ord: 0, hashes: [hash], order_id: orderId, ttl_seconds: 60 };
  const [row] = await by.query<{ outcome: string }>(
    'SELECT outcome FROM reserve_code($1, $2::jsonb)',
    [programId, JSON.stringify(item)],
  );
  return row?.outcome;
};

test('reserve, revoke, commit: it beats the reservation', async () => {
  const { poolId, id, hash } = await aHeld();
  await first.begin();
  expect(await reserve(first, { hash, orderId: unique('order') })).toBe('RESERVED');
  await overlapping(first, () => revokePool(poolId));
  expect(await codeOf(id)).toMatchObject({ status: 'REVOKED', reservedFor: null });
});

test('revoke, reserve, commit: it waits, and is refused', async () => {
  const { poolId, hash } = await aHeld();
  await first.begin();
  await revokePage(first, { programId, poolId });
  const answer = overlapping(first, () => reserve(second, { hash, orderId: unique('order') }));
  expect(await answer).toBe('CODE_REVOKED');
});

test('reserve an unseen code, recycle, commit: somebody knows its text, so it is retired', async () => {
  const { campaignId, codeId } = await anUnseen();
  const hash = await hashOf(on.left, { programId, id: codeId });
  await first.begin();
  expect(await reserve(first, { hash, orderId: unique('order') })).toBe('RESERVED');
  await overlapping(first, () => revokeCampaign(campaignId));
  expect((await codeOf(codeId)).status).toBe('REVOKED');
});

test('a page has begun, a later code of it is reserved, go on: told in that order', async () => {
  const { id: poolId } = await aPool(on.left, { programId, codes: 2 });
  const members = await manyMembers(on.left, { programId, count: 2 });
  const held: { id: string; memberId: MemberId }[] = [];
  for (const memberId of members) {
    const claimed = await claim(on.left, { programId, poolId, memberId, actor: 'key:a' });
    if (claimed.ok) held.push({ id: claimed.code.id, memberId });
  }
  const [low, high] = held.sort((a, b) => (a.id < b.id ? -1 : 1));
  await first.begin();
  await first.query('SELECT id FROM codes WHERE program_id = $1 AND id = $2 FOR UPDATE', [
    ...[programId, low?.id],
  ]);
  const revoking = revokePool(poolId);
  await first.isWaitedFor();
  const hash = await hashOf(on.left, { programId, id: high?.id as string });
  expect(await reserve(second, { hash, orderId: unique('order') })).toBe('RESERVED');
  await first.commit();
  expect(await revoking).toMatchObject({ revoked: 2 });
  const events = await on.left.db.event.findMany({
    where: { programId, memberId: high?.memberId as string },
    orderBy: [{ xid: 'asc' }, { id: 'asc' }],
  });
  expect(events.map(({ type }) => type)).toEqual(['code.claimed', 'code.reserved', 'code.revoked']);
});

test('claim, revoke the pool, commit: what was claimed meanwhile is revoked with the rest', async () => {
  const { id: poolId } = await aPool(on.left, { programId, codes: 3 });
  const [memberId] = (await manyMembers(on.left, { programId, count: 1 })) as [MemberId];
  await first.begin();
  const [mine] = await first.claim(programId, [{ poolId, memberId }]);
  expect(await overlapping(first, () => revokePool(poolId))).toMatchObject({ revoked: 3 });
  expect(await codeOf(mine?.codeId as string)).toMatchObject({ status: 'REVOKED', memberId });
});
