import { beforeEach, expect, test } from 'vitest';
import { claimCode, reconcileCodes } from '../../src/coupons/index.ts';
import { testDeps } from '../support/database.ts';
import { aProgram, unique } from '../support/factories.ts';
import { aCampaign, issue, type Named } from '../support/recipients.ts';
import { after, openShop, type Shop } from '../support/shop.ts';
import { mistake } from '../support/unchanged.ts';

const deps = await testDeps();
let shop: Shop;
let email: string;
beforeEach(async () => {
  shop = await openShop(deps);
  email = `${unique('guest')}@shop.example`;
});

/** A pool with codes, and a campaign of it with these recipients. */
async function campaign(...recipients: Named[]) {
  const pool = await shop.pool(5);
  const { programId } = shop;
  const made = await aCampaign(deps, { programId, poolId: pool.id, recipients });
  return { poolId: pool.id, recipients: made.recipients as string[] };
}

test('a recipient by address is given one code, as is a guest with that address', async () => {
  const { poolId, recipients } = await campaign({ email });
  const [recipientId] = recipients;
  const first = await shop.claimed(poolId, { recipientId });
  expect(first).toMatchObject({
    alreadyClaimed: false,
    code: { recipientId, claimEmail: email, memberId: null, ownerMatch: null },
  });
  for (const who of [{ recipientId }, { email }, { email: email.toUpperCase() }])
    expect(await shop.claimed(poolId, who)).toMatchObject({
      alreadyClaimed: true,
      plaintext: first.plaintext,
    });
});

test("a recipient that is a member is given the member's code: match 2", async () => {
  const member = await shop.member();
  const { poolId, recipients } = await campaign({ memberId: member.id });
  const [recipientId] = recipients;
  const first = await shop.claimed(poolId, { recipientId });
  expect(first.code).toMatchObject({
    ...{ memberId: member.id, ownerMatch: 2, recipientId, claimEmail: null },
  });
  const again = await shop.claimed(poolId, { memberId: member.id });
  expect(again).toMatchObject({ alreadyClaimed: true, plaintext: first.plaintext });
});

test('a recipient whose address a member has verified is that member: match 2', async () => {
  const member = await shop.member({ email, emailVerified: true });
  const { poolId, recipients } = await campaign({ email });
  const { code } = await shop.claimed(poolId, { recipientId: recipients[0] });
  expect(code).toMatchObject({ memberId: member.id, ownerMatch: 2, claimEmail: email });
  for (const who of [{ memberId: member.id }, { email }])
    expect((await shop.claimed(poolId, who)).code.id).toBe(code.id);
});

test('of two members who verified the address of a recipient the older one is meant', async () => {
  const older = await shop.member({ email, emailVerified: true });
  await shop.clockAt(1);
  await shop.member({ email, emailVerified: true });
  const { poolId, recipients } = await campaign({ email });
  const { code } = await shop.claimed(poolId, { recipientId: recipients[0] });
  expect(code.memberId).toBe(older.id);
});

test('a recipient finds what the same person claimed by any other key', async () => {
  const member = await shop.member({ email, emailVerified: true });
  const { poolId, recipients } = await campaign({ email }, { memberId: member.id });
  const mine = await shop.claimed(poolId, { memberId: member.id });
  for (const recipientId of recipients)
    expect(await shop.claimed(poolId, { recipientId })).toMatchObject({
      alreadyClaimed: true,
      code: { id: mine.code.id, recipientId: null, ownerMatch: 1 },
    });
});

test('an unverified address identifies nobody: the recipient and the member get two codes', async () => {
  const member = await shop.member({ email });
  const { poolId, recipients } = await campaign({ email });
  const asRecipient = await shop.claimed(poolId, { recipientId: recipients[0] });
  const asMember = await shop.claimed(poolId, { memberId: member.id });
  expect(asRecipient.code.memberId).toBeNull();
  expect(asMember.code.id).not.toBe(asRecipient.code.id);
});

test('recipients and guests with one mailbox share one limit', async () => {
  const { poolId, recipients } = await campaign({ email: email.replace('@', '+list@') });
  await shop.claimed(poolId, { email });
  const claim = () => shop.claim(poolId, { recipientId: recipients[0] });
  expect(await shop.refused(claim)).toBe('CLAIM_LIMIT_REACHED');
});

test('a code that was issued waits unseen; the first claim is its hand-out, and is recorded', async () => {
  const { poolId, recipients } = await campaign({ email });
  const [recipientId] = recipients as [string];
  const codeId = await issue(deps, { programId: shop.programId, poolId, recipientId });
  const reveals = () => deps.db.codeReveal.findMany({ where: { codeId } });
  expect(await shop.code(codeId)).toMatchObject({ status: 'ALLOCATED', revealedAt: null });
  expect(await reveals()).toEqual([]);
  await shop.clockAt(1_000);
  for (let times = 0; times < 3; times++) {
    const claimed = await shop.claimed(poolId, times === 1 ? { email } : { recipientId });
    expect(claimed).toMatchObject({ alreadyClaimed: true, code: { id: codeId } });
  }
  expect(await reveals()).toMatchObject([{ kind: 'CLAIM', actor: 'key:shop', at: after(1_000) }]);
  expect((await shop.code(codeId)).revealedAt).toEqual(after(1_000));
});

test('what was issued to an address is bound when it becomes verified: match 2', async () => {
  const { poolId, recipients } = await campaign({ email });
  const [recipientId] = recipients as [string];
  const codeId = await issue(deps, { programId: shop.programId, poolId, recipientId });
  const member = await shop.member({ email, emailVerified: true });
  expect(await shop.code(codeId)).toMatchObject({ memberId: member.id, ownerMatch: 2 });
});

test('a recipient of another program, or of none, is not found', async () => {
  const { poolId } = await campaign({ email });
  const other = await aProgram(deps);
  const { recipients } = await campaign({ email: 'a@shop.example' });
  const claims = [
    { programId: shop.programId, recipientId: '0190a5f0-0000-7000-8000-000000000000' },
    { programId: other.programId, recipientId: recipients[0] },
  ];
  for (const claim of claims) {
    const error = await mistake(deps.db, () =>
      claimCode(deps, { ...claim, poolId, actor: 'key:shop' }),
    );
    const field = claim.programId === shop.programId ? 'input.recipientId' : 'input.poolId';
    expect(error).toMatchObject({ code: 'NOT_FOUND', field });
  }
});

test('a recipient is one of its own campaign’s pool, and of no other', async () => {
  const { recipients } = await campaign({ email });
  const { poolId } = await campaign({ email });
  const error = await mistake(deps.db, () => shop.claim(poolId, { recipientId: recipients[0] }));
  expect(error).toMatchObject({ code: 'NOT_FOUND', field: 'input.recipientId' });
});

test('what a recipient claims the campaign knows at once, and once', async () => {
  const own = await shop.member();
  const { poolId, recipients } = await campaign({ email }, { memberId: own.id });
  const [byAddress, byMember] = recipients;
  const stateOf = async () => {
    const rows = await deps.db.campaignRecipient.findMany({ where: { id: { in: recipients } } });
    const [row] = await deps.db.campaign.findMany({ where: { poolId } });
    return [
      row?.status,
      row?.issued,
      ...recipients.map((id) => rows.find((r) => r.id === id)?.codeId),
    ];
  };
  await deps.db.campaign.updateMany({ where: { poolId }, data: { status: 'FAILED' } });
  await deps.db.campaignRecipient.updateMany({
    where: { id: { in: recipients } },
    data: { refusal: 'POOL_NOT_ISSUING' },
  });
  const { code } = await shop.claimed(poolId, { recipientId: byAddress });
  expect(await stateOf()).toEqual(['FAILED', 1, code.id, null]);
  await shop.claimed(poolId, { recipientId: byAddress });
  await shop.claimed(poolId, { memberId: own.id });
  expect(await stateOf()).toEqual(['FAILED', 1, code.id, null]);
  const mine = await shop.claimed(poolId, { recipientId: byMember });
  expect(mine.alreadyClaimed).toBe(true);
  expect(await stateOf()).toEqual(['ISSUED', 2, code.id, mine.code.id]);
  expect(await reconcileCodes(deps, shop)).toEqual([]);
});

test('a claimant is named in exactly one way', async () => {
  const { poolId, recipients } = await campaign({ email });
  const [recipientId] = recipients;
  for (const who of [
    { recipientId, email },
    { recipientId, memberId: recipientId },
  ]) {
    const error = await mistake(deps.db, () => shop.claim(poolId, who));
    expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input' });
  }
});
