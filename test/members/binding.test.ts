import { beforeEach, expect, test } from 'vitest';
import { walletsOf } from '../../src/coupons/index.ts';
import { upsertMember } from '../../src/members/index.ts';
import { testDeps } from '../support/database.ts';
import { aProgram, unique } from '../support/factories.ts';
import { openShop, type Shop } from '../support/shop.ts';

const deps = await testDeps();
let shop: Shop;
let email: string;
beforeEach(async () => {
  shop = await openShop(deps);
  email = `${unique('guest')}@shop.example`;
});

const owner = async (codeId: string) => {
  const { memberId, ownerMatch } = await shop.code(codeId);
  return { memberId, ownerMatch };
};
const nobody = { memberId: null, ownerMatch: null };

test('an address that becomes verified binds the codes that a guest claimed with it', async () => {
  const [first, second] = [await shop.pool(1), await shop.pool(1)];
  const codes = [
    (await shop.claimed(first.id, { email })).code.id,
    (await shop.claimed(second.id, { email: email.toUpperCase() })).code.id,
  ];
  const member = await shop.member({ email });
  for (const id of codes) expect(await owner(id)).toEqual(nobody);
  await shop.verify(member.externalId, email);
  for (const id of codes) expect(await owner(id)).toEqual({ memberId: member.id, ownerMatch: 3 });
  const [wallet] = await walletsOf(deps, { programId: shop.programId, ids: [member.id] });
  expect(wallet?.map((code) => code.id).sort()).toEqual(codes.sort());
});

test('a member that is made with a verified address gets what a guest claimed with it', async () => {
  const pool = await shop.pool(1);
  const { code } = await shop.claimed(pool.id, { email });
  const member = await shop.member({ email, emailVerified: true });
  expect(await owner(code.id)).toEqual({ memberId: member.id, ownerMatch: 3 });
});

test('redeemed and revoked codes of a guest are bound as well', async () => {
  const [first, second] = [await shop.pool(1), await shop.pool(1)];
  const redeemed = await shop.claimed(first.id, { email });
  await shop.redeemed(redeemed.plaintext, 'order-1');
  const held = await shop.claimed(second.id, { email });
  const member = await shop.member({ email, emailVerified: true });
  for (const { code } of [redeemed, held])
    expect(await owner(code.id)).toEqual({ memberId: member.id, ownerMatch: 3 });
  expect(await shop.code(redeemed.code.id)).toMatchObject({ status: 'REDEEMED' });
});

test('an unverified address binds nothing, nor does another spelling of the mailbox', async () => {
  const pool = await shop.pool(3);
  const { code } = await shop.claimed(pool.id, { email });
  await shop.member({ email });
  await shop.member({ email: email.replace('@', '+x@'), emailVerified: true });
  expect(await owner(code.id)).toEqual(nobody);
});

test('an address that is verified in another program binds nothing here', async () => {
  const pool = await shop.pool(1);
  const { code } = await shop.claimed(pool.id, { email });
  const other = await aProgram(deps);
  await upsertMember(deps, {
    programId: other.programId,
    input: { externalId: unique('member'), email, emailVerified: true },
  });
  expect(await owner(code.id)).toEqual(nobody);
});

test('a bound code never moves: not to a second member who verifies the address, older or not', async () => {
  const pool = await shop.pool(1);
  const older = await shop.member();
  const { code } = await shop.claimed(pool.id, { email });
  const first = await shop.member({ email, emailVerified: true });
  await shop.verify(older.externalId, email);
  expect(await owner(code.id)).toEqual({ memberId: first.id, ownerMatch: 3 });
});

test("a member's own claim stays the member's when somebody else verifies the address", async () => {
  const pool = await shop.pool(2);
  const first = await shop.member({ email, emailVerified: true });
  const { code } = await shop.claimed(pool.id, { memberId: first.id });
  await shop.member({ email, emailVerified: true });
  expect(await owner(code.id)).toEqual({ memberId: first.id, ownerMatch: 1 });
});

test.each([
  ['changed', { email: 'other@shop.example' }],
  ['removed', { email: null }],
  ['said to be unverified', { emailVerified: false }],
])('an address that is %s takes no code away', async (_, change) => {
  const pool = await shop.pool(1);
  const { code } = await shop.claimed(pool.id, { email });
  const member = await shop.member({ email, emailVerified: true });
  await upsertMember(deps, {
    programId: shop.programId,
    input: { externalId: member.externalId, ...change },
  });
  expect(await owner(code.id)).toEqual({ memberId: member.id, ownerMatch: 3 });
  const again = await shop.claimed(pool.id, { memberId: member.id });
  expect(again).toMatchObject({ alreadyClaimed: true, code: { id: code.id } });
});

test('a claim and the verification of its address at the same moment leave one owned code', async () => {
  for (let round = 0; round < 10; round++) {
    const pool = await shop.pool(3);
    const address = `${unique('both')}@shop.example`;
    const member = await shop.member({ email: address });
    await Promise.all([
      shop.claimed(pool.id, { email: address }),
      shop.verify(member.externalId, address),
      shop.claimed(pool.id, { email: address }),
    ]);
    const { code } = await shop.claimed(pool.id, { memberId: member.id });
    expect(await owner(code.id)).toEqual({ memberId: member.id, ownerMatch: 3 });
    expect(await shop.count(pool.id, 'ALLOCATED')).toBe(1);
  }
});

test('a guest who asks again after the address was verified is given the code that is bound', async () => {
  const pool = await shop.pool(2);
  const { code } = await shop.claimed(pool.id, { email });
  const member = await shop.member({ email, emailVerified: true });
  const again = await shop.claimed(pool.id, { email });
  expect(again).toMatchObject({ alreadyClaimed: true, code: { id: code.id, memberId: member.id } });
});
