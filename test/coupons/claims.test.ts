import { beforeEach, expect, test } from 'vitest';
import {
  archivePool,
  type Claim,
  claimCode,
  listCodes,
  pausePool,
  revokeCode,
} from '../../src/coupons/index.ts';
import type { CodeId, PoolId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { aMember, aProgram, unique } from '../support/factories.ts';
import { claim } from '../support/scenes.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { after, openShop, type Shop } from '../support/shop.ts';
import { mistake } from '../support/unchanged.ts';

const deps = await testDeps();
const [other] = (await sessions(deps.config.databaseUrl, 1)) as [Session];
let shop: Shop;
let guest: string;
beforeEach(async () => {
  shop = await openShop(deps);
  guest = `${unique('guest')}@shop.example`;
});

const revoke = (codeId: string) =>
  revokeCode(deps, { programId: shop.programId, codeId: codeId as CodeId, reason: 'test' });

test('a member is given one code of a pool, and the same one again', async () => {
  const pool = await shop.pool(3);
  const { id: memberId } = await shop.member();
  const first = await shop.claimed(pool.id, { memberId });
  expect(first).toMatchObject({
    alreadyClaimed: false,
    code: { status: 'ALLOCATED', memberId, ownerMatch: 1, claimEmail: null, allocatedAt: after(0) },
  });
  expect(first.plaintext).toMatch(/^PCT-/);
  const again = await shop.claimed(pool.id, { memberId });
  expect(again).toMatchObject({ alreadyClaimed: true, plaintext: first.plaintext });
  expect(again.code).toEqual(first.code);
  expect(await shop.count(pool.id, 'AVAILABLE')).toBe(2);
});

test('a guest is given one code, in whatever spelling the address comes', async () => {
  const pool = await shop.pool(3);
  const first = await shop.claimed(pool.id, { email: guest });
  expect(first.code).toMatchObject({ memberId: null, ownerMatch: null, claimEmail: guest });
  const again = await shop.claimed(pool.id, { email: ` ${guest.toUpperCase()} ` });
  expect(again).toMatchObject({ alreadyClaimed: true, plaintext: first.plaintext });
});

test('a guest with the address that a member has verified is that member', async () => {
  const pool = await shop.pool(3);
  const { id: memberId } = await shop.member({ email: guest, emailVerified: true });
  const byAddress = await shop.claimed(pool.id, { email: guest });
  expect(byAddress.code).toMatchObject({ memberId, ownerMatch: 3, claimEmail: guest });
  const byId = await shop.claimed(pool.id, { memberId });
  expect(byId).toMatchObject({ alreadyClaimed: true, plaintext: byAddress.plaintext });
});

test('of two members who verified one address the older one is the guest', async () => {
  const pool = await shop.pool(3);
  const { id: older } = await shop.member({ email: guest, emailVerified: true });
  await shop.clockAt(1);
  await shop.member({ email: guest, emailVerified: true });
  const { code } = await shop.claimed(pool.id, { email: guest });
  expect(code.memberId).toBe(older);
});

test('an address that nobody verified is a guest, and the member with it gets another code', async () => {
  const pool = await shop.pool(3);
  const { id: memberId } = await shop.member({ email: guest });
  const asGuest = await shop.claimed(pool.id, { email: guest });
  const asMember = await shop.claimed(pool.id, { memberId });
  expect(asGuest.code.memberId).toBeNull();
  expect(asMember).toMatchObject({ alreadyClaimed: false, code: { memberId } });
});

test.each([
  ['ann+shop@shop.example', 'ann@shop.example'],
  ['ann@shop.example', 'ann+a+b@shop.example'],
  ['a.n.n@gmail.com', 'ann@gmail.com'],
  ['ann+x@gmail.com', 'An.N@googlemail.com'],
])('%s and %s share one limit, and neither is given the code of the other', async (a, b) => {
  const pool = await shop.pool(3);
  const first = await shop.claimed(pool.id, { email: a });
  expect(await shop.refused(() => shop.claim(pool.id, { email: b }))).toBe('CLAIM_LIMIT_REACHED');
  const again = await shop.claimed(pool.id, { email: a });
  expect(again.plaintext).toBe(first.plaintext);
});

test('addresses with one mailbox share the places of a pool with several', async () => {
  const pool = await shop.pool(5, { perMemberLimit: 2 });
  const first = await shop.claimed(pool.id, { email: 'ann+1@shop.example' });
  const second = await shop.claimed(pool.id, { email: 'ann+2@shop.example' });
  expect(second.plaintext).not.toBe(first.plaintext);
  const third = () => shop.claim(pool.id, { email: 'ann+3@shop.example' });
  expect(await shop.refused(third)).toBe('CLAIM_LIMIT_REACHED');
  const more = () => shop.claim(pool.id, { email: 'ann+1@shop.example', claimKey: 'more' });
  expect(await shop.refused(more)).toBe('CLAIM_LIMIT_REACHED');
});

test('a revoked code takes the place of its own address only, where a mailbox has several', async () => {
  const pool = await shop.pool(5, { perMemberLimit: 2 });
  const { code } = await shop.claimed(pool.id, { email: 'ann+1@shop.example' });
  await revoke(code.id);
  const mine = () => shop.claim(pool.id, { email: 'ann+1@shop.example' });
  expect(await shop.refused(mine)).toBe('CLAIM_LIMIT_REACHED');
  await shop.claimed(pool.id, { email: 'ann+2@shop.example' });
});

test('where a claimant may have one code the claimKey is ignored', async () => {
  const pool = await shop.pool(3);
  const { id: memberId } = await shop.member();
  const first = await shop.claimed(pool.id, { memberId, claimKey: 'a' });
  for (const claimKey of ['b', undefined, null, '']) {
    const again = await shop.claimed(pool.id, { memberId, claimKey });
    expect(again).toMatchObject({ alreadyClaimed: true, plaintext: first.plaintext });
  }
});

test('above one each claimKey names a code, a missing one is the empty one, and the limit holds', async () => {
  const pool = await shop.pool(9, { perMemberLimit: 3 });
  const { id: memberId } = await shop.member();
  const texts = new Map<string, string>();
  for (const claimKey of ['', 'a', 'b']) {
    const { plaintext, alreadyClaimed } = await shop.claimed(pool.id, { memberId, claimKey });
    expect(alreadyClaimed).toBe(false);
    texts.set(claimKey, plaintext);
  }
  expect(new Set(texts.values()).size).toBe(3);
  expect(await shop.refused(() => shop.claim(pool.id, { memberId, claimKey: 'c' }))).toBe(
    'CLAIM_LIMIT_REACHED',
  );
  for (const [claimKey, plaintext] of texts)
    expect(await shop.claimed(pool.id, { memberId, claimKey })).toMatchObject({ plaintext });
  for (const claimKey of [undefined, null])
    expect(await shop.claimed(pool.id, { memberId, claimKey })).toMatchObject({
      plaintext: texts.get(''),
    });
  const slots = await deps.db.claim.findMany({ where: { poolId: pool.id } });
  expect(slots.map(({ slot }) => slot).sort()).toEqual([1, 2, 3]);
});

test('a revoked code keeps its place: one is all that there was, and its key is used', async () => {
  const [one, two] = [await shop.pool(3), await shop.pool(9, { perMemberLimit: 2 })];
  const { id: memberId } = await shop.member();
  await revoke((await shop.claimed(one.id, { memberId })).code.id);
  await revoke((await shop.claimed(two.id, { memberId, claimKey: 'a' })).code.id);
  for (const claimKey of [undefined, 'other'])
    expect(await shop.refused(() => shop.claim(one.id, { memberId, claimKey }))).toBe(
      'CLAIM_LIMIT_REACHED',
    );
  const again = () => shop.claim(two.id, { memberId, claimKey: 'a' });
  expect(await shop.refused(again)).toBe('CLAIM_LIMIT_REACHED');
  await shop.claimed(two.id, { memberId, claimKey: 'b' });
  const third = () => shop.claim(two.id, { memberId, claimKey: 'c' });
  expect(await shop.refused(third)).toBe('CLAIM_LIMIT_REACHED');
});

test('a redeemed code is still the one that its member holds', async () => {
  const pool = await shop.pool(3);
  const { id: memberId } = await shop.member();
  const { plaintext } = await shop.claimed(pool.id, { memberId });
  await shop.redeemed(plaintext, 'order-1');
  const again = await shop.claimed(pool.id, { memberId });
  expect(again).toMatchObject({ alreadyClaimed: true, plaintext, code: { status: 'REDEEMED' } });
});

test("of several held codes the member's own claim comes before a guest's, then the oldest", async () => {
  const pool = await shop.pool(5);
  const first = await shop.claimed(pool.id, { email: guest });
  await shop.clockAt(1_000);
  const { id: memberId, externalId } = await shop.member({ email: guest });
  const own = await shop.claimed(pool.id, { memberId });
  await shop.verify(externalId, guest);
  expect((await shop.code(first.code.id)).memberId).toBe(memberId);
  for (const who of [{ memberId }, { email: guest }])
    expect(await shop.claimed(pool.id, who)).toMatchObject({ plaintext: own.plaintext });
  await revoke(own.code.id);
  expect(await shop.claimed(pool.id, { memberId })).toMatchObject({ plaintext: first.plaintext });
});

test('a held code is given while the pool is paused and after it was archived, and no new one', async () => {
  const pool = await shop.pool(3);
  const ref = { programId: shop.programId, poolId: pool.id };
  const { id: memberId } = await shop.member();
  const { plaintext } = await shop.claimed(pool.id, { memberId });
  for (const stop of [pausePool, archivePool]) {
    await stop(deps, ref);
    expect(await shop.claimed(pool.id, { memberId })).toMatchObject({ plaintext });
    const late = () => shop.claim(pool.id, { email: guest });
    expect(await shop.refused(late)).toBe('POOL_NOT_ISSUING');
  }
});

test('a pool in DRAFT gives nothing', async () => {
  const pool = await shop.draft(3);
  expect(await shop.refused(() => shop.claim(pool.id, { email: guest }))).toBe('POOL_NOT_ISSUING');
});

test('every code goes to somebody, and then the pool is exhausted', async () => {
  const pool = await shop.pool(20);
  const members = await Promise.all(Array.from({ length: 25 }, () => shop.member()));
  const answers = await Promise.all(members.map(({ id }) => shop.claim(pool.id, { memberId: id })));
  const given = answers.flatMap((answer) => (answer.ok ? [answer.plaintext] : []));
  expect(new Set(given).size).toBe(20);
  for (const answer of answers) if (!answer.ok) expect(answer.reason).toBe('POOL_EXHAUSTED');
  const late = () => shop.claim(pool.id, { email: guest });
  expect(await shop.refused(late)).toBe('POOL_EXHAUSTED');
});

test('fifty taps at once are one code, and the first hand-out is recorded once', async () => {
  const pool = await shop.pool(60);
  const { id: memberId } = await shop.member({ email: guest, emailVerified: true });
  const taps = Array.from({ length: 50 }, (_, i) =>
    shop.claimed(pool.id, i % 2 ? { memberId } : { email: guest }),
  );
  const answers = await Promise.all(taps);
  expect(new Set(answers.map(({ plaintext }) => plaintext)).size).toBe(1);
  expect(answers.filter(({ alreadyClaimed }) => !alreadyClaimed)).toHaveLength(1);
  const codeId = answers[0]?.code.id as string;
  const reveals = await deps.db.codeReveal.findMany({ where: { codeId } });
  expect(reveals).toMatchObject([{ kind: 'CLAIM', actor: 'key:shop', at: after(0) }]);
  expect((await shop.code(codeId)).revealedAt).toEqual(after(0));
});

test('codes that another transaction holds are waited for, and after two seconds it is BUSY', async () => {
  const pool = await shop.pool(2);
  await other.begin();
  await other.query('SELECT FROM codes WHERE pool_id = $1 FOR UPDATE', [pool.id]);
  const began = performance.now();
  expect(await shop.refused(() => shop.claim(pool.id, { email: guest }))).toBe('BUSY');
  expect(performance.now() - began).toBeGreaterThan(1_900);
  await other.rollback();
  await shop.claimed(pool.id, { email: guest });
});

test('codes whose taker rolls back within the two seconds are given to those who waited', async () => {
  const pool = await shop.pool(1);
  await other.begin();
  await other.query('SELECT FROM codes WHERE pool_id = $1 FOR UPDATE', [pool.id]);
  const { programId } = shop;
  const by = { programId, poolId: pool.id, email: guest, actor: 'key:shop' } as const;
  const claimed = claim(deps, by);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await other.rollback();
  expect(await claimed).toMatchObject({ ok: true, alreadyClaimed: false });
});

test('a claimant whose identity is being changed is waited for, and after two seconds it is BUSY', async () => {
  const pool = await shop.pool(2);
  await other.begin();
  await other.query('SELECT lock_identities($1, $2)', [shop.programId, [`email:${guest}`]]);
  expect(await shop.refused(() => shop.claim(pool.id, { email: guest }))).toBe('BUSY');
  await other.rollback();
  await shop.claimed(pool.id, { email: guest });
});

test('what is not there is not found: pools and members of other programs as well', async () => {
  const place = await aProgram(deps);
  const foreign = await aMember(deps, { programId: place.programId });
  const pool = await shop.pool(1);
  const nowhere = '0190a5f0-0000-7000-8000-000000000000' as PoolId;
  const claims: [string, Omit<Claim, 'actor'>][] = [
    ['input.memberId', { programId: shop.programId, poolId: pool.id, memberId: foreign.id }],
    ['input.memberId', { programId: shop.programId, poolId: pool.id, memberId: nowhere }],
    ['input.poolId', { programId: place.programId, poolId: pool.id, memberId: foreign.id }],
    ['input.poolId', { programId: shop.programId, poolId: nowhere, email: guest }],
  ];
  for (const [field, claim] of claims) {
    const error = await mistake(deps.db, () => claimCode(deps, { ...claim, actor: 'key:shop' }));
    expect(error).toMatchObject({ code: 'NOT_FOUND', field });
  }
  const { nodes } = await listCodes(deps, { ...place, poolId: pool.id, first: 5 });
  expect(nodes).toEqual([]);
});

test.each([
  ['input', {}],
  ['input', { memberId: '0190a5f0-0000-7000-8000-000000000000', email: 'a@shop.example' }],
  ['input', { memberId: null, email: null }],
  ['input.claimKey', { email: 'a@shop.example', claimKey: 'k'.repeat(201) }],
  ['input.claimKey', { email: 'a@shop.example', claimKey: 'a\u0000b' }],
  ['input.email', { email: '' }],
  ['input.email', { email: 'a\u0000@shop.example' }],
  ['input.email', { email: `${'a'.repeat(250)}@shop.example` }],
])('bad input names %s and claims nothing: %j', async (field, who) => {
  const pool = await shop.pool(1);
  const error = await mistake(deps.db, () => shop.claim(pool.id, who));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field });
});
