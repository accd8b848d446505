/** Wallets as a client sees them: the same few statements, whatever the size of the page. */
import { beforeAll, describe, expect, test } from 'vitest';
import { customersOf, readPurchases } from '../../examples/demo/cdnow.ts';
import { claimCode, redeemCode } from '../../src/coupons/index.ts';
import type { Context } from '../../src/graphql/context.ts';
import { codeResolvers } from '../../src/graphql/resolvers/code.ts';
import type { CampaignId, MemberId, ProgramId } from '../../src/kernel/ids.ts';
import { createMemberToken } from '../../src/programs/index.ts';
import { startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { aMember, aPool, aProgram, unique } from '../support/factories.ts';
import { aCampaign, issue } from '../support/recipients.ts';
import { revokeAll } from '../support/revocations.ts';
import { countStatements } from '../support/statements.ts';
import { aKey } from '../support/world.ts';

const deps = await testDeps();
const api = await startApi(deps);

const WALLETS = `query Wallets($first: Int!) {
  members(first: $first) { nodes {
    externalId tier { name }
    wallet {
      id masked status claimEmail allocatedAt batch { id count } pool { name minTier { name } }
      member { id email } redemption { orderId code { id } } replacedBy { id masked }
    }
  } }
}`;

describe('customers of CDNOW', () => {
  let programId: ProgramId;
  let secretKey: string;
  const order = { orderAmount: 1_000, asker: { kind: 'merchant' } } as const;
  const expected = new Map<string, string[]>();

  beforeAll(async () => {
    ({ programId, secretKey } = await aProgram(deps));
    const customers = customersOf(await readPurchases()).slice(0, 60);
    const pool = () => aPool(deps, { programId, codes: customers.length });
    const [own, mailed, asGuest] = [await pool(), await pool(), await pool()];
    const emails = customers.map((customer) => ({ email: `${customer}@cdnow.example` }));
    const named = { programId, poolId: mailed.id, recipients: emails };
    const { recipients } = await aCampaign(deps, named);
    for (const [i, externalId] of customers.entries()) {
      const email = emails[i]?.email as string;
      const member = await aMember(deps, { programId, externalId, email });
      const common = { programId, actor: 'key:a' } as const;
      const claims = [
        { ...common, poolId: own.id, memberId: member.id },
        { ...common, poolId: asGuest.id, email },
      ];
      const codes = [];
      for (const claim of claims) {
        const claimed = await claimCode(deps, claim);
        if (!claimed.ok) throw new Error(claimed.reason);
        codes.push(claimed.code.id);
        const { plaintext: code } = claimed;
        if (claim.poolId === own.id)
          await redeemCode(deps, { programId, code, orderId: externalId, ...order });
      }
      const recipientId = recipients[i] as string;
      codes.push(await issue(deps, { programId, poolId: mailed.id, recipientId }));
      // One in three has not verified the address: what was sent there is not theirs yet.
      if (i % 3 > 0) await aMember(deps, { programId, externalId, email, emailVerified: true });
      expected.set(externalId, i % 3 > 0 ? codes : codes.slice(0, 1));
    }
  });

  const page = (first: number) => api.data(secretKey, WALLETS, { first });

  test('each has what the three-way match says, and no code is in two wallets', async () => {
    const { members } = await page(60);
    type Row = { externalId: string; wallet: { id: string; claimEmail: string | null }[] };
    const rows = members.nodes as Row[];
    expect(rows).toHaveLength(60);
    for (const { externalId, wallet } of rows)
      expect(wallet.map(({ id }) => id).sort()).toEqual(expected.get(externalId)?.sort());
    const all = rows.flatMap(({ wallet }) => wallet.map(({ id }) => id));
    expect(new Set(all).size).toBe(all.length);
  });

  test('a page of 50 wallets takes as many statements as one of 1', async () => {
    await page(3); // what is once a minute
    const few = await countStatements(() => page(1));
    const many = await countStatements(() => page(50));
    expect(few).toBeGreaterThan(3);
    expect(many).toBe(few);
  });
});

describe('conflicts of ownership', () => {
  const CONFLICTS = `query ($first: Int, $after: String) {
    ownershipConflicts(first: $first, after: $after) {
      nodes { id at code { id masked member { id } } owner { externalId } other { externalId } }
      pageInfo { hasNextPage endCursor }
    }
  }`;

  async function aConflict(of: { programId: ProgramId; poolId: string }) {
    const { programId, poolId } = of;
    const email = `${unique('guest')}@example.com`;
    const claim = { programId, poolId: poolId as never, email, actor: 'key:a' } as const;
    const claimed = await claimCode(deps, claim);
    const owner = await aMember(deps, { programId, email, emailVerified: true });
    const other = await aMember(deps, { programId, email, emailVerified: true });
    if (!claimed.ok) throw new Error(claimed.reason);
    return { codeId: claimed.code.id, owner, other };
  }

  test('are listed page by page, in the order in which they were found', async () => {
    const { programId, secretKey } = await aProgram(deps);
    const { id: poolId } = await aPool(deps, { programId, codes: 5 });
    const made = [];
    for (let i = 0; i < 3; i++) made.push(await aConflict({ programId, poolId }));
    const first = (await api.data(secretKey, CONFLICTS, { first: 2 })).ownershipConflicts;
    const after = first.pageInfo.endCursor;
    const rest = (await api.data(secretKey, CONFLICTS, { first: 2, after })).ownershipConflicts;
    expect([first.pageInfo.hasNextPage, rest.pageInfo.hasNextPage]).toEqual([true, false]);
    expect([...first.nodes, ...rest.nodes]).toMatchObject(
      made.map(({ codeId, owner, other }) => ({
        code: { id: codeId, member: { id: owner.id } },
        owner: { externalId: owner.externalId },
        other: { externalId: other.externalId },
        at: '2021-01-01T12:00:00.000Z',
      })),
    );
  });

  test('end when the code is recycled, and may begin anew with its next owner', async () => {
    const { programId, secretKey } = await aProgram(deps);
    const { id: poolId } = await aPool(deps, { programId, codes: 1 });
    const email = `${unique('reader')}@example.com`;
    const made = await aCampaign(deps, { programId, poolId, recipients: [{ email }] });
    await issue(deps, { programId, poolId, recipientId: made.recipients[0] as string });
    const verified = { programId, emailVerified: true };
    await aMember(deps, { ...verified, email });
    const other = await aMember(deps, { ...verified, email });
    const listed = async () => (await api.data(secretKey, CONFLICTS)).ownershipConflicts.nodes;
    expect(await listed()).toHaveLength(1);
    await revokeAll(deps, { programId, campaignId: made.campaignId as CampaignId });
    const next = `${unique('next')}@example.com`;
    const given = await claimCode(deps, { programId, poolId, email: next, actor: 'key:a' });
    expect(given).toMatchObject({ ok: true, alreadyClaimed: false });
    const { externalId } = await aMember(deps, { ...verified, email: next });
    expect(await listed()).toEqual([]);
    await aMember(deps, { ...verified, externalId: other.externalId, email: next });
    const both = { owner: { externalId }, other: { externalId: other.externalId } };
    expect(await listed()).toMatchObject([both]);
  });

  test('are for a key that may see members, and of its own program', async () => {
    const { programId } = await aProgram(deps);
    const { id: poolId } = await aPool(deps, { programId, codes: 1 });
    const { owner } = await aConflict({ programId, poolId });
    const { secretKey } = await aKey(deps, { programId, scopes: ['POOLS_READ'] });
    const token = await createMemberToken(deps, {
      ...{ programId, memberId: owner.id as MemberId, ttlSeconds: 60 },
    });
    for (const credential of [secretKey, token])
      expect((await api.query(credential, CONFLICTS)).status).toBe(403);
    const other = await aProgram(deps);
    const answer = await api.data(other.secretKey, CONFLICTS);
    expect(answer.ownershipConflicts.nodes).toEqual([]);
  });
});

test('a pool of codes is revoked, replaced and claimed again through the API', async () => {
  const { programId, secretKey } = await aProgram(deps);
  const pool = await aPool(deps, { programId, codes: 3 });
  const { id: memberId } = await aMember(deps, { programId });
  const CLAIM = `mutation ($input: ClaimCodeInput!) { claimCode(input: $input) {
    ... on ClaimCodeSuccess { alreadyClaimed plaintext code { id status replacedBy { id } } } } }`;
  const input = { poolId: pool.id, memberId };
  const first = (await api.data(secretKey, CLAIM, { input })).claimCode;
  const REVOKE = `mutation ($input: RevokeCodesInput!) {
    revokeCodes(input: $input) { revoked recycled replaced } }`;
  const asked = { poolId: pool.id, reason: 'leaked', replace: true, idempotencyKey: 'one' };
  for (let i = 0; i < 2; i++)
    expect(await api.data(secretKey, REVOKE, { input: asked })).toEqual({
      revokeCodes: { revoked: 1, recycled: 0, replaced: 1 },
    });
  const again = (await api.data(secretKey, CLAIM, { input })).claimCode;
  expect(again).toMatchObject({ alreadyClaimed: true, code: { status: 'ALLOCATED' } });
  const { code } = await api.data(
    secretKey,
    'query ($id: ID!) { code(id: $id) { status replacedBy { id } } }',
    { id: first.code.id },
  );
  expect(code).toEqual({ status: 'REVOKED', replacedBy: { id: again.code.id } });
});

test('a replacement that was recycled, and is another member’s now, is told to nobody else', async () => {
  const REPLACED = `{ me { wallet { status replacedBy {
    masked reservedFor redemption { orderId orderAmount } member { email birthday balance }
  } } } }`;
  const { programId } = await aProgram(deps);
  const { id: poolId } = await aPool(deps, { programId, codes: 2 });
  const again = () => revokeAll(deps, { programId, poolId, replace: true });
  const email = `${unique('owner')}@shop.example`;
  const [owner, other] = [
    await aMember(deps, { programId, email }),
    await aMember(deps, { programId }),
  ];
  const token = await createMemberToken(deps, { programId, memberId: owner.id, ttlSeconds: 60 });
  const wallet = async () => (await api.data(token, REPLACED)).me.wallet;
  const made = await aCampaign(deps, { programId, poolId, recipients: [{ memberId: owner.id }] });
  const [recipientId] = made.recipients;
  await claimCode(deps, { programId, poolId, recipientId, actor: 'key:a' });
  const revoke = (replace: boolean) =>
    revokeAll(deps, { programId, campaignId: made.campaignId as CampaignId, replace });
  expect(await revoke(true)).toMatchObject({ replaced: 1 });
  expect(await wallet()).toContainEqual({
    status: 'REVOKED',
    replacedBy: expect.objectContaining({
      redemption: null,
      member: expect.objectContaining({ email }),
    }),
  });
  expect(await revoke(false)).toMatchObject({ recycled: 1 });
  expect(await wallet()).toEqual([{ status: 'REVOKED', replacedBy: null }]);
  // Nobody was promised it any more: issued again, and unseen, it is only recycled.
  const to = { programId, poolId, recipients: [{ memberId: other.id }] };
  const [next] = (await aCampaign(deps, to)).recipients;
  await issue(deps, { programId, poolId, recipientId: next as string });
  expect(await again()).toEqual({ revoked: 0, recycled: 1, replaced: 0 });
  const given = await claimCode(deps, { programId, poolId, memberId: other.id, actor: 'key:a' });
  expect(given).toMatchObject({ ok: true, alreadyClaimed: false });
  expect(await wallet()).toEqual([{ status: 'REVOKED', replacedBy: null }]);
  // Were it reached by another way, the fields themselves would refuse.
  const { code } = given as Extract<typeof given, { ok: true }>;
  const caller = { kind: 'member', programId, memberId: owner.id };
  for (const field of ['member', 'redemption', 'plaintext'] as const)
    expect(() => codeResolvers.Code[field](code, {}, { caller } as Context)).toThrow(
      `Code.${field}: a member token reads its own codes`,
    );
});
