/** A program with one of everything, for tests that go through the API. */

import { claimCode, generateCodesJob, redeemCode } from '../../src/coupons/index.ts';
import type { Deps } from '../../src/deps.ts';
import type { ProgramId } from '../../src/kernel/ids.ts';
import { createCampaign } from '../../src/marketing/index.ts';
import { createMemberToken, createSecretKey, type Scope } from '../../src/programs/index.ts';
import { createWebhook } from '../../src/webhooks/index.ts';
import { aMember, aPool, aProgram, unique } from './factories.ts';

export type World = Awaited<ReturnType<typeof aWorld>>;

export async function aWorld(deps: Deps) {
  const { programId, secretKey } = await aProgram(deps);
  const email = `${unique('someone')}@example.com`;
  const member = await aMember(deps, { programId, email, emailVerified: true });
  const pool = await aPool(deps, { programId, codes: 5, input: { perMemberLimit: 3 } });
  const draft = await aPool(deps, { programId, codes: 2, draft: true });
  const growing = await aPool(deps, { programId, codes: 0, draft: true });
  const job = await generateCodesJob(deps, { programId, poolId: growing.id, count: 10 });
  const named = { name: unique('Campaign'), poolId: pool.id, recipients: [{ email }] };
  const campaign = await createCampaign(deps, { programId, input: named });
  const claim = { programId, poolId: pool.id, memberId: member.id, actor: 'key:test' } as const;
  const claimed = await claimCode(deps, { ...claim, claimKey: 'first' });
  const spent = await claimCode(deps, { ...claim, claimKey: 'second' });
  if (!claimed.ok || !spent.ok) throw new Error('no code was claimed');
  const orderId = unique('order');
  const redeemed = await redeemCode(deps, {
    programId,
    code: spent.plaintext,
    orderId,
    orderAmount: 5_000,
    asker: { kind: 'merchant' },
  });
  if (!redeemed.ok) throw new Error('no code was redeemed');
  const tokenOf = { programId, memberId: member.id, ttlSeconds: 3_600 };
  // Enabled, its name would be looked up.
  const endpoint = { url: 'https://shop.example/flash', enabled: false };
  const { webhook } = await createWebhook(deps, { programId, input: endpoint });
  const spare = await aKey(deps, { programId, scopes: ['POOLS_READ'] });
  return {
    programId,
    secretKey,
    member,
    email,
    pool,
    draft,
    job,
    campaign,
    code: claimed.code,
    plaintext: claimed.plaintext,
    spent: spent.code,
    redemption: redeemed.redemption,
    orderId,
    spare: spare.key,
    webhook,
    token: await createMemberToken(deps, tokenOf),
  };
}

/** A key of a program with these scopes only. */
export const aKey = (deps: Deps, of: { programId: ProgramId; scopes: Scope[] }) =>
  createSecretKey(deps, { caller: { kind: 'root' }, name: null, ...of });
