import { beforeEach, expect, test } from 'vitest';
import {
  activatePool,
  createPool,
  pausePool,
  poolsRunningLow,
  statsOfPools,
  topUpPool,
} from '../../src/coupons/index.ts';
import type { PoolId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { poolInput, unique } from '../support/factories.ts';
import { claim } from '../support/scenes.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { after, openShop, type Shop } from '../support/shop.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const [other] = (await sessions(deps.config.databaseUrl, 1)) as [Session];
let shop: Shop;
beforeEach(async () => {
  shop = await openShop(deps);
});

const newMember = async () => (await shop.member()).id;
const fallingBackTo = (fallbackPoolId: string) => ({
  exhaustion: 'FALLBACK' as const,
  fallbackPoolId,
});

test('a code of the fallback pool is given, remembers who was asked, and counts in both pools', async () => {
  const reserve = await shop.pool(2);
  const asked = await shop.pool(1, fallingBackTo(reserve.id));
  await shop.claimed(asked.id, { memberId: await newMember() });
  const memberId = await newMember();
  const { code, plaintext } = await shop.claimed(asked.id, { memberId });
  expect(code).toMatchObject({ poolId: reserve.id, askedPoolId: asked.id });
  const claims = await deps.db.claim.findMany({ where: { codeId: code.id } });
  expect(claims.map(({ poolId }) => poolId).sort()).toEqual([asked.id, reserve.id].sort());
  for (const pool of [asked, reserve])
    expect(await shop.claimed(pool.id, { memberId })).toMatchObject({
      alreadyClaimed: true,
      plaintext,
    });
  expect(await shop.count(reserve.id, 'ALLOCATED')).toBe(1);
});

test('who holds a code of the fallback pool gets none of it through another pool', async () => {
  const reserve = await shop.pool(5);
  const asked = await shop.pool(1, fallingBackTo(reserve.id));
  await shop.claimed(asked.id, { memberId: await newMember() });
  const memberId = await newMember();
  await shop.claimed(reserve.id, { memberId });
  const claim = () => shop.claim(asked.id, { memberId });
  expect(await shop.refused(claim)).toBe('POOL_EXHAUSTED');
});

test('a pool that was asked issues by its own rules before it falls back', async () => {
  const reserve = await shop.pool(5);
  const asked = await shop.pool(1, { ...fallingBackTo(reserve.id), startsAt: after(1_000) });
  const claim = async () => shop.claim(asked.id, { memberId: await newMember() });
  const memberId = await newMember();
  expect(await shop.refused(() => shop.claim(asked.id, { memberId }))).toBe('POOL_NOT_ISSUING');
  await shop.clockAt(1_000);
  expect(await claim()).toMatchObject({ ok: true, code: { poolId: asked.id } });
  expect(await claim()).toMatchObject({ ok: true, code: { poolId: reserve.id } });
});

test('pools of the chain that are paused, over, of a higher tier or empty are passed over', async () => {
  const { programId } = shop;
  const gold = await deps.db.tier.findFirstOrThrow({ where: { programId, rank: 3 } });
  const last = await shop.pool(1);
  const draft = await shop.draft(1, fallingBackTo(last.id));
  const over = await shop.pool(1, { ...fallingBackTo(draft.id), endsAt: after(0) });
  const tiered = await shop.pool(1, { ...fallingBackTo(over.id), minTierId: gold.id });
  const paused = await shop.pool(1, fallingBackTo(tiered.id));
  await pausePool(deps, { programId, poolId: paused.id });
  const asked = await shop.pool(1, fallingBackTo(paused.id));
  await shop.claimed(asked.id, { memberId: await newMember() });
  const { code } = await shop.claimed(asked.id, { memberId: await newMember() });
  expect(code).toMatchObject({ poolId: last.id, askedPoolId: asked.id });
  const memberId = await newMember();
  expect(await shop.refused(() => shop.claim(asked.id, { memberId }))).toBe('POOL_EXHAUSTED');
  for (const pool of [draft, over, tiered, paused])
    expect(await shop.count(pool.id, 'AVAILABLE')).toBe(1);
});

test('a chain of eight pools is followed to its end', async () => {
  let next = await shop.pool(3);
  const last = next;
  for (let i = 0; i < 7; i++) {
    next = await shop.pool(1, fallingBackTo(next.id));
    await shop.claimed(next.id, { memberId: await newMember() });
  }
  const { code } = await shop.claimed(next.id, { memberId: await newMember() });
  expect(code.poolId).toBe(last.id);
});

test('a fallback code is looked up and limited by the asked pool: keys and places are shared', async () => {
  const reserve = await shop.pool(5, { perMemberLimit: 9 });
  const asked = await shop.pool(1, { ...fallingBackTo(reserve.id), perMemberLimit: 2 });
  const memberId = await newMember();
  const own = await shop.claimed(asked.id, { memberId, claimKey: 'a' });
  const lent = await shop.claimed(asked.id, { memberId, claimKey: 'b' });
  expect([own.code.poolId, lent.code.poolId]).toEqual([asked.id, reserve.id]);
  expect(await shop.claimed(asked.id, { memberId, claimKey: 'b' })).toMatchObject({
    plaintext: lent.plaintext,
  });
  const third = () => shop.claim(asked.id, { memberId, claimKey: 'c' });
  expect(await shop.refused(third)).toBe('CLAIM_LIMIT_REACHED');
  const { code } = await shop.claimed(reserve.id, { memberId, claimKey: 'c' });
  expect(code).toMatchObject({ poolId: reserve.id, askedPoolId: null });
});

/** An ACTIVE pool that tops itself up and has no code yet. */
async function mintingPool(maxCodes: number): Promise<PoolId> {
  const { programId } = shop;
  const input = poolInput({ exhaustion: 'TOP_UP', maxCodes });
  const poolId = (await createPool(deps, { programId, input })).id as PoolId;
  await activatePool(deps, { programId, poolId });
  return poolId;
}

const generated = async (poolId: PoolId) =>
  (await statsOfPools(deps, { programId: shop.programId, ids: [poolId] }))[0]?.generated;

test('a pool that tops itself up mints for its claimants up to maxCodes, and is exhausted then', async () => {
  const poolId = await mintingPool(3);
  const members = await Promise.all(Array.from({ length: 5 }, newMember));
  const answers = await Promise.all(members.map((memberId) => shop.claim(poolId, { memberId })));
  const reasons = answers.map((answer) => (answer.ok ? 'claimed' : answer.reason)).sort();
  expect(reasons).toEqual(['POOL_EXHAUSTED', 'POOL_EXHAUSTED', 'claimed', 'claimed', 'claimed']);
  expect(await generated(poolId)).toBe(3);
  const memberId = await newMember();
  expect(await shop.refused(() => shop.claim(poolId, { memberId }))).toBe('POOL_EXHAUSTED');
});

test('thirty claims at once on an empty pool have it minted once', async () => {
  const poolId = await mintingPool(600);
  const members = await Promise.all(Array.from({ length: 30 }, newMember));
  const answers = await Promise.all(members.map((memberId) => shop.claimed(poolId, { memberId })));
  expect(new Set(answers.map(({ plaintext }) => plaintext)).size).toBe(30);
  expect(await deps.db.codeBatch.findMany({ where: { poolId } })).toMatchObject([{ count: 500 }]);
});

test('the last minting is what maxCodes leaves, and a low pool is found by the worker', async () => {
  const { programId } = shop;
  const poolId = await mintingPool(520);
  const ref = { programId, poolId };
  expect(await poolsRunningLow(deps)).toContainEqual(ref);
  expect(await topUpPool(deps, ref)).toBe(500);
  expect(await poolsRunningLow(deps)).not.toContainEqual(ref);
  expect(await unchanged(deps.db, () => topUpPool(deps, ref))).toBe(0);
  const revoke = async (take: number) => {
    const where = { poolId, status: 'AVAILABLE' } as const;
    const ids = await deps.db.code.findMany({ where, take, select: { id: true } });
    await deps.db.code.updateMany({
      where: { id: { in: ids.map(({ id }) => id) } },
      data: { status: 'REVOKED', revokedAt: after(0) },
    });
  };
  await revoke(451);
  expect(await poolsRunningLow(deps)).toContainEqual(ref);
  expect(await topUpPool(deps, ref)).toBe(20);
  expect(await topUpPool(deps, ref)).toBe(0);
  await revoke(69);
  expect(await poolsRunningLow(deps)).not.toContainEqual(ref);
  expect(await generated(poolId)).toBe(520);
});

test('nothing is minted for a pool that is paused, or that does not top itself up', async () => {
  const { programId } = shop;
  const poolId = await mintingPool(10);
  await pausePool(deps, { programId, poolId });
  const plain = await shop.pool(1);
  for (const id of [poolId, plain.id])
    expect(await unchanged(deps.db, () => topUpPool(deps, { programId, poolId: id }))).toBe(0);
  const claim = () => shop.claim(poolId, { email: 'g@shop.example' });
  expect(await shop.refused(claim)).toBe('POOL_NOT_ISSUING');
});

test('while another process mints, a claimant waits for its codes', async () => {
  const poolId = await mintingPool(10);
  await other.begin();
  await other.query('SELECT try_lock_top_up($1, $2)', [shop.programId, poolId]);
  const { programId } = shop;
  const claimed = claim(deps, { programId, poolId, email: 'g@shop.example', actor: 'key:shop' });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await generated(poolId)).toBe(0);
  await other.rollback();
  expect(await claimed).toMatchObject({ ok: true, alreadyClaimed: false });
});

test('when the minter never ends, the claimant is told BUSY after two seconds', async () => {
  const poolId = await mintingPool(10);
  await other.begin();
  await other.query('SELECT try_lock_top_up($1, $2)', [shop.programId, poolId]);
  expect(await shop.refused(() => shop.claim(poolId, { email: 'g@shop.example' }))).toBe('BUSY');
  await other.rollback();
});

test('claim, pause, top up: the claimant is told that the pool issues nothing, and nothing is minted', async () => {
  const poolId = await mintingPool(10);
  await other.begin();
  // The code space is where the minting waits, after it has seen an ACTIVE pool.
  await other.query('SELECT lock_pool($1, $2)', [shop.programId, poolId]);
  const minting = topUpPool(deps, { programId: shop.programId, poolId });
  await other.isWaitedFor();
  await other.query(`UPDATE pools SET status = 'PAUSED' WHERE id = $1`, [poolId]);
  await other.commit();
  expect(await minting).toBe(0);
  expect(await generated(poolId)).toBe(0);
});

test('a claimant whose codes cannot be minted in time is told BUSY', async () => {
  const poolId = await mintingPool(10);
  await other.begin();
  await other.query('SELECT lock_code_space($1)', [shop.programId]);
  expect(await shop.refused(() => shop.claim(poolId, { email: 'g@shop.example' }))).toBe('BUSY');
  await other.rollback();
  await shop.claimed(poolId, { email: unique('g') });
});

test('the last pool of a chain mints for those who asked the first', async () => {
  const last = await mintingPool(10);
  const asked = await shop.pool(1, fallingBackTo(last));
  await shop.claimed(asked.id, { memberId: await newMember() });
  const { code } = await shop.claimed(asked.id, { memberId: await newMember() });
  expect(code).toMatchObject({ poolId: last, askedPoolId: asked.id });
});
