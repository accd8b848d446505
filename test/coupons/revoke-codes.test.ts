import { beforeEach, expect, test } from 'vitest';
import {
  archivePool,
  generateCodes,
  pausePool,
  type RevokeCodes,
  reconcileCodes,
  resumePool,
  revealCodes,
  revokeCodes,
  voidRedemption,
  walletsOf,
} from '../../src/coupons/index.ts';
import { openCode } from '../../src/coupons/vault.ts';
import type { BatchId, CampaignId, PoolId, RedemptionId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { aProgram, unique } from '../support/factories.ts';
import { aCampaign, issue } from '../support/recipients.ts';
import { expectSound, manyMembers } from '../support/scenes.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { after, openShop, type Shop } from '../support/shop.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
let shop: Shop;
let email: string;
beforeEach(async () => {
  shop = await openShop(deps);
  email = `${unique('guest')}@shop.example`;
});

type Four<T> = [T, T, T, T];
type Asked = Partial<Omit<RevokeCodes, 'programId'>>;
const revoke = (of: Asked) =>
  revokeCodes(deps, {
    ...{ programId: shop.programId, reason: 'test', replace: false, idempotencyKey: unique('key') },
    ...of,
  });
const ofPool = (id: string, of: Asked = {}) => revoke({ poolId: id as PoolId, ...of });

/** One code redeemed, one seen by its holder, one issued and unseen, and two that are free. */
async function aMixedPool(dates: { endsAt?: Date } = {}) {
  const pool = await shop.pool(5, dates);
  const { programId } = shop;
  const [spender, holder, waiting] = [await shop.member(), await shop.member(), email];
  const spent = await shop.claimed(pool.id, { memberId: spender.id });
  const { redemption } = await shop.redeemed(spent.plaintext, 'order-1');
  const seen = await shop.claimed(pool.id, { memberId: holder.id });
  const recipients = [{ memberId: spender.id }, { memberId: holder.id }, { email: waiting }];
  const made = await aCampaign(deps, { programId, poolId: pool.id, recipients });
  const ids: string[] = [];
  for (const recipientId of made.recipients)
    ids.push(await issue(deps, { programId, poolId: pool.id, recipientId }));
  const [, , unseen] = ids as [string, string, string];
  return { pool, holder, spent: spent.code.id, redemption, seen, unseen, ...made };
}

const statusOf = async (id: string) => (await shop.code(id)).status;
const sound = async () => {
  await expectSound(deps, shop.programId);
  expect(await reconcileCodes(deps, shop)).toEqual([]);
};

test('a pool is withdrawn whole: what is held and what is free, but not what is redeemed', async () => {
  const { pool, spent, seen, unseen } = await aMixedPool();
  expect(await ofPool(pool.id, { reason: 'a leak' })).toEqual({
    ...{ revoked: 4, recycled: 0, replaced: 0 },
  });
  expect(await statusOf(spent)).toBe('REDEEMED');
  for (const id of [seen.code.id, unseen])
    expect(await shop.code(id)).toMatchObject({
      ...{ status: 'REVOKED', revokedAt: after(0), revokeReason: 'a leak', replacedById: null },
    });
  expect(await shop.count(pool.id, 'AVAILABLE')).toBe(0);
  await sound();
});

test('a batch is withdrawn, and the other batches of its pool are left alone', async () => {
  const pool = await shop.pool(2);
  const { programId } = shop;
  const poolId = pool.id;
  await pausePool(deps, { programId, poolId });
  const second = await generateCodes(deps, { programId, poolId, count: 3 });
  await resumePool(deps, { programId, poolId });
  const members = await Promise.all(Array.from({ length: 4 }, () => shop.member()));
  for (const { id } of members) await shop.claimed(poolId, { memberId: id });
  expect(await revoke({ batchId: second.id as BatchId })).toMatchObject({ revoked: 3 });
  const codes = await deps.db.code.findMany({ where: { programId, poolId } });
  for (const code of codes) expect(code.status === 'REVOKED').toBe(code.batchId === second.id);
  await sound();
});

test('a batch is replaced by other batches alone: nothing of it is given, or free, again', async () => {
  const { pool, seen, unseen, spent } = await aMixedPool();
  const { programId } = shop;
  const poolId = pool.id as PoolId;
  const { batchId } = seen.code;
  const asked = { batchId: batchId as BatchId, replace: true, idempotencyKey: unique('key') };
  await expect(revoke(asked)).rejects.toThrow(`pool ${poolId} needs 2 more free codes`);
  await pausePool(deps, { programId, poolId });
  const { id: other } = await generateCodes(deps, { programId, poolId, count: 2 });
  await resumePool(deps, { programId, poolId });
  expect(await revoke(asked)).toEqual({ revoked: 4, recycled: 0, replaced: 2 });
  for (const { id, status } of await deps.db.code.findMany({ where: { programId, batchId } }))
    expect(status).toBe(id === spent ? 'REDEEMED' : 'REVOKED');
  for (const id of [seen.code.id, unseen]) {
    const fresh = await shop.code((await shop.code(id)).replacedById as string);
    expect(fresh).toMatchObject({ batchId: other, status: 'ALLOCATED', revealedAt: null });
  }
  await sound();
});

test('with replacements a holder whose code was seen has a fresh one in its place', async () => {
  const { pool, holder, seen, spent } = await aMixedPool();
  await shop.reserve(seen.plaintext, 'order-2');
  await shop.clockAt(1_000);
  const done = await ofPool(pool.id, { replace: true });
  expect(done).toEqual({ revoked: 1, recycled: 1, replaced: 1 });
  expect(await statusOf(spent)).toBe('REDEEMED');
  const old = await shop.code(seen.code.id);
  expect(old).toMatchObject({ status: 'REVOKED', memberId: holder.id, reservedFor: null });
  const fresh = await shop.code(old.replacedById as string);
  expect(fresh).toMatchObject({
    ...{ poolId: pool.id, status: 'ALLOCATED', memberId: holder.id, ownerMatch: 1, claimKey: '' },
    ...{ allocatedAt: after(1_000), revealedAt: null, reservedFor: null },
  });
  expect(await shop.redeem(seen.plaintext, 'order-2')).toMatchObject({ reason: 'CODE_REVOKED' });
  const again = await shop.claimed(pool.id, { memberId: holder.id });
  expect(again).toMatchObject({ alreadyClaimed: true, code: { id: fresh.id } });
  await shop.redeemed(again.plaintext, 'order-2');
  await sound();
});

test('the wallet shows the revoked code and the one that took its place', async () => {
  const { pool, holder, seen } = await aMixedPool();
  await ofPool(pool.id, { replace: true });
  const [wallet] = await walletsOf(deps, { programId: shop.programId, ids: [holder.id] });
  const fresh = (await shop.code(seen.code.id)).replacedById;
  expect(wallet?.map(({ id }) => id).sort()).toEqual([seen.code.id, fresh].sort());
});

test('a campaign takes back what it issued: the unseen is free again, the seen is retired', async () => {
  const { pool, campaignId, holder, seen, unseen, recipients } = await aMixedPool();
  const own = await shop.member();
  const more = await aCampaign(deps, {
    ...{ programId: shop.programId, poolId: pool.id, recipients: [{ memberId: own.id }] },
  });
  const exported = await shop.claimed(pool.id, { recipientId: more.recipients[0] });
  expect(await revoke({ campaignId: campaignId as CampaignId })).toEqual({
    ...{ revoked: 0, recycled: 1, replaced: 0 },
  });
  // What its recipients had claimed themselves before is not the campaign's to take.
  expect(await statusOf(seen.code.id)).toBe('ALLOCATED');
  expect(await shop.code(unseen)).toMatchObject({
    ...{ status: 'AVAILABLE', memberId: null, claimEmail: null, recipientId: null },
    ...{ allocatedAt: null, revokedAt: null, revocationId: null },
  });
  const rows = await deps.db.campaignRecipient.findMany({ where: { id: { in: recipients } } });
  expect(rows.filter(({ codeId }) => codeId === null)).toMatchObject([{ email }]);
  expect(await deps.db.campaign.findFirst({ where: { id: campaignId } })).toMatchObject({
    issued: 2,
  });
  expect(await revoke({ campaignId: more.campaignId as CampaignId })).toMatchObject({ revoked: 1 });
  expect(await statusOf(exported.code.id)).toBe('REVOKED');
  const again = await shop.claimed(pool.id, { memberId: holder.id });
  expect(again.code.id).toBe(seen.code.id);
  await sound();
});

test('whoever lost an unseen code may be given another, also by the same campaign', async () => {
  const { pool, campaignId, recipients } = await aMixedPool();
  await revoke({ campaignId: campaignId as CampaignId });
  const claimed = await shop.claimed(pool.id, { email });
  expect(claimed.alreadyClaimed).toBe(false);
  const recipientId = recipients[2] as string;
  const to = { programId: shop.programId, poolId: pool.id, recipientId };
  expect(await issue(deps, to)).toBe(claimed.code.id);
  await sound();
});

test('a code whose text was read, or tried, does not go back to its pool', async () => {
  const pool = await shop.pool(6);
  const { programId } = shop;
  const emails = ['read', 'held', 'spent', 'let-go'].map((name) => `${name}-${email}`);
  const recipients = emails.map((address) => ({ email: address }));
  const made = await aCampaign(deps, { programId, poolId: pool.id, recipients });
  const codes = [];
  for (const recipientId of made.recipients)
    codes.push(await shop.code(await issue(deps, { programId, poolId: pool.id, recipientId })));
  const [read, held, spent, letGo] = codes as Four<(typeof codes)[0]>;
  await revealCodes(deps, { programId, codes: [read], actor: 'key:a' });
  await shop.reserve(openCode(deps, held), 'order-1');
  await shop.reserve(openCode(deps, letGo), 'order-3');
  expect(await shop.release(openCode(deps, letGo), 'order-3')).toBe(true);
  const { redemption } = await shop.redeemed(openCode(deps, spent), 'order-2');
  const redemptionId = redemption.id as RedemptionId;
  await voidRedemption(deps, { programId, redemptionId, reason: 'test' });
  expect(await revoke({ campaignId: made.campaignId as CampaignId })).toEqual({
    ...{ revoked: 4, recycled: 0, replaced: 0 },
  });
  await sound();
});

test('with too few free codes nothing is done, and the same key goes on once they are there', async () => {
  const pool = await shop.pool(3);
  const { programId } = shop;
  const members = [await shop.member(), await shop.member()];
  for (const { id } of members) await shop.claimed(pool.id, { memberId: id });
  const asked = { replace: true, idempotencyKey: unique('key') };
  await expect(ofPool(pool.id, asked)).rejects.toThrow('the pool needs 1 more free code');
  // But for the revocation itself, which the first call has begun.
  const error = await mistake(deps.db, () => ofPool(pool.id, asked));
  expect(error.code).toBe('CONFLICT');
  expect(await shop.count(pool.id, 'ALLOCATED')).toBe(2);
  await pausePool(deps, { programId, poolId: pool.id });
  await generateCodes(deps, { programId, poolId: pool.id, count: 1 });
  await resumePool(deps, { programId, poolId: pool.id });
  expect(await ofPool(pool.id, asked)).toEqual({ revoked: 2, recycled: 0, replaced: 2 });
  for (const { id } of members)
    expect(await shop.claimed(pool.id, { memberId: id })).toMatchObject({ alreadyClaimed: true });
  await sound();
});

test('a pool that tops itself up makes the fresh codes that are missing, up to its limit', async () => {
  const pool = await shop.pool(20, { exhaustion: 'TOP_UP', maxCodes: 30 });
  const members = await manyMembers(deps, { programId: shop.programId, count: 15 });
  await Promise.all(members.map((memberId) => shop.claimed(pool.id, { memberId })));
  expect(await ofPool(pool.id, { replace: true })).toMatchObject({ revoked: 15, replaced: 15 });
  await Promise.all(members.map((memberId) => shop.claimed(pool.id, { memberId })));
  const again = () => ofPool(pool.id, { replace: true });
  await expect(again()).rejects.toThrow('needs 15 more free codes');
  await sound();
});

test('codes that another process mints are waited for, and only so long', async () => {
  const { programId } = shop;
  const pool = await shop.pool(1, { exhaustion: 'TOP_UP', maxCodes: 2 });
  const { id: memberId } = await shop.member();
  await shop.claimed(pool.id, { memberId });
  const [minting] = (await sessions(deps.config.databaseUrl, 1)) as [Session];
  await minting.begin();
  await minting.query('SELECT try_lock_top_up($1, $2)', [programId, pool.id]);
  const asked = { replace: true, idempotencyKey: unique('key') };
  await expect(ofPool(pool.id, asked)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  // The machine may be busy for so long, too: then it is asked once more.
  const replacing = ofPool(pool.id, asked).catch(() => ofPool(pool.id, asked));
  await new Promise((resolve) => setTimeout(resolve, 100));
  await minting.commit();
  expect(await replacing).toEqual({ revoked: 1, recycled: 0, replaced: 1 });
  await sound();
});

test('a free code whose text was read is no replacement', async () => {
  const pool = await shop.pool(2);
  const { programId } = shop;
  const { id: memberId } = await shop.member();
  await shop.claimed(pool.id, { memberId });
  const free = await deps.db.code.findMany({ where: { programId, status: 'AVAILABLE' } });
  await revealCodes(deps, { programId, codes: free, actor: 'key:a' });
  await expect(ofPool(pool.id, { replace: true })).rejects.toMatchObject({ code: 'CONFLICT' });
});

test('of a guest, of a member with several, of a fallback pool: the place goes with the code', async () => {
  const spare = await shop.pool(9);
  const few = { perMemberLimit: 2, exhaustion: 'FALLBACK', fallbackPoolId: spare.id } as const;
  const pool = await shop.pool(1, few);
  const { id: memberId } = await shop.member();
  const first = await shop.claimed(pool.id, { memberId, claimKey: 'a' });
  const second = await shop.claimed(pool.id, { memberId, claimKey: 'b' });
  const guest = await shop.claimed(pool.id, { email });
  expect(second.code).toMatchObject({ poolId: spare.id, askedPoolId: pool.id });
  expect(await ofPool(spare.id, { replace: true })).toMatchObject({ revoked: 2, replaced: 2 });
  const again = await shop.claimed(pool.id, { memberId, claimKey: 'b' });
  expect(again).toMatchObject({ alreadyClaimed: true, code: { askedPoolId: pool.id } });
  expect(again.code.id).not.toBe(second.code.id);
  const asGuest = await shop.claimed(pool.id, { email });
  expect(asGuest).toMatchObject({ alreadyClaimed: true, code: { claimEmail: email } });
  expect(asGuest.code.id).not.toBe(guest.code.id);
  const third = () => shop.claim(pool.id, { memberId, claimKey: 'c' });
  expect(await shop.refused(third)).toBe('CLAIM_LIMIT_REACHED');
  expect((await shop.claimed(pool.id, { memberId, claimKey: 'a' })).code.id).toBe(first.code.id);
  const member = await shop.member({ email, emailVerified: true });
  expect((await shop.code(asGuest.code.id)).memberId).toBe(member.id);
  await sound();
});

test.each([pausePool, archivePool])(
  'after %o nothing is issued, to nobody in place of a code either: it is revoked alone',
  async (stop) => {
    const { pool, campaignId, seen } = await aMixedPool();
    await stop(deps, { programId: shop.programId, poolId: pool.id });
    for (const of of [{ poolId: pool.id }, { campaignId: campaignId as CampaignId }]) {
      const idempotencyKey = unique('key');
      const asked = () => revoke({ ...of, replace: true, idempotencyKey });
      const before = await shop.code(seen.code.id);
      await expect(asked()).rejects.toMatchObject({ code: 'CONFLICT' });
      expect(await mistake(deps.db, asked)).toMatchObject({ code: 'CONFLICT' });
      expect(await shop.code(seen.code.id)).toEqual(before);
    }
    expect(await ofPool(pool.id)).toMatchObject({ revoked: 4, replaced: 0 });
    await sound();
  },
);

test('outside its dates a pool issues nothing, to nobody in place of a code either', async () => {
  const { pool, campaignId, seen } = await aMixedPool({ endsAt: after(1_000) });
  await shop.clockAt(1_000);
  const early = await shop.pool(1, { startsAt: after(2_000) });
  // The id that was sent is not told again.
  const refused = async (named: string, of: Asked) => {
    const message = expect.stringContaining(`${named} issues no fresh codes`);
    const error = { code: 'CONFLICT', message };
    await expect(revoke({ ...of, replace: true })).rejects.toMatchObject(error);
  };
  await refused('the pool', { poolId: pool.id as PoolId });
  await refused(`pool ${pool.id}`, { campaignId: campaignId as CampaignId });
  await refused('the pool', { poolId: early.id as PoolId });
  expect(await statusOf(seen.code.id)).toBe('ALLOCATED');
  expect(await ofPool(pool.id)).toMatchObject({ revoked: 4, replaced: 0 });
  await sound();
});

test('the same key answers the same and changes nothing; another payload is a conflict', async () => {
  const { pool } = await aMixedPool();
  const asked = { poolId: pool.id as PoolId, replace: true, idempotencyKey: unique('key') };
  const first = await revoke(asked);
  expect(await unchanged(deps.db, () => revoke(asked))).toEqual(first);
  for (const other of [{ replace: false }, { reason: 'other' }]) {
    const error = await mistake(deps.db, () => revoke({ ...asked, ...other }));
    expect(error).toMatchObject({ code: 'CONFLICT' });
  }
});

test('a revocation that was cut short goes on where it was, and answers for the whole', async () => {
  const { programId } = shop;
  const pool = await shop.pool(2_600);
  const members = await manyMembers(deps, { programId, count: 30 });
  await Promise.all(members.map((memberId) => shop.claimed(pool.id, { memberId })));
  let pages = 0;
  const dying = new Proxy(deps, {
    get: (target, name) => {
      if (name === 'db' && ++pages > 2) throw new Error('the power is gone');
      return Reflect.get(target, name);
    },
  });
  const asked = {
    ...{ programId, poolId: pool.id as PoolId, reason: 'test', replace: false },
    idempotencyKey: unique('key'),
  };
  await expect(revokeCodes(dying, asked)).rejects.toThrow('the power is gone');
  const half = await shop.count(pool.id, 'REVOKED');
  expect(half).toBe(1_000);
  const answers = await Promise.all([revokeCodes(deps, asked), revokeCodes(deps, asked)]);
  expect(answers).toEqual(Array(2).fill({ revoked: 2_600, recycled: 0, replaced: 0 }));
  expect(await shop.count(pool.id, 'REVOKED')).toBe(2_600);
  await sound();
});

test('a replacement is not taken for one of the old, and the next time is itself replaced', async () => {
  const { programId } = shop;
  const pool = await shop.pool(3_600);
  const members = await manyMembers(deps, { programId, count: 1_200 });
  await Promise.all(members.map((memberId) => shop.claimed(pool.id, { memberId })));
  for (let times = 0; times < 2; times++) {
    const done = await ofPool(pool.id, { replace: true });
    expect(done).toEqual({ revoked: 1_200, recycled: 0, replaced: 1_200 });
    const fresh = await deps.db.code.findMany({ where: { programId, status: 'ALLOCATED' } });
    expect(new Set(fresh.map(({ memberId }) => memberId)).size).toBe(1_200);
  }
  await sound();
});

test('what is not there is not found, and exactly one thing is named', async () => {
  const place = await aProgram(deps);
  const { pool, campaignId } = await aMixedPool();
  const code = await deps.db.code.findFirstOrThrow({ where: { poolId: pool.id } });
  const foreign: [string, Asked][] = [
    ['input.poolId', { poolId: pool.id as PoolId }],
    ['input.batchId', { batchId: code.batchId as BatchId }],
    ['input.campaignId', { campaignId: campaignId as CampaignId }],
  ];
  for (const [field, asked] of foreign) {
    const work = () => revoke({ ...asked, ...place });
    expect(await mistake(deps.db, work)).toMatchObject({ code: 'NOT_FOUND', field });
  }
  const both = { poolId: pool.id as PoolId, batchId: code.batchId as BatchId };
  for (const asked of [{}, both]) {
    const error = await mistake(deps.db, () => revoke(asked));
    expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input' });
  }
  for (const [field, asked] of [
    ['input.reason', { reason: ' ' }],
    ['input.idempotencyKey', { idempotencyKey: '' }],
  ] as const) {
    const error = await mistake(deps.db, () => ofPool(pool.id, asked));
    expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field });
  }
});
