import { beforeEach, expect, test } from 'vitest';
import { revokeCode } from '../../src/coupons/index.ts';
import type { CodeId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { after, asMember, openShop, type Shop } from '../support/shop.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps({ config: { lookupBudget: 1_000 } });
const [other] = (await sessions(deps.config.databaseUrl, 1)) as [Session];
let shop: Shop;
let me: Awaited<ReturnType<Shop['member']>>;
beforeEach(async () => {
  shop = await openShop(deps);
  me = await shop.member();
});
const asMe = () => ({ asker: asMember(me.id) });
const FOREIGN = { ok: false, reason: 'CODE_NOT_REDEEMABLE' };

async function held(memberId: string, input?: Parameters<Shop['pool']>[1]) {
  const pool = await shop.pool(1, input);
  const { code, plaintext } = await shop.claimed(pool.id, { memberId });
  return { codeId: code.id as CodeId, text: plaintext };
}

/** Every state that a code of somebody else can be in, by the text of one. */
const foreignCodes: Record<string, (them: string) => Promise<string>> = {
  unknown: async () => 'PCT-7K2M-9QXA-40HT-ZB5E',
  held: async (them) => (await held(them)).text,
  'of a guest': async () => {
    const pool = await shop.pool(1);
    return (await shop.claimed(pool.id, { email: 'guest@shop.example' })).plaintext;
  },
  used: async (them) => {
    const { text } = await held(them);
    await shop.redeemed(text, 'order-1');
    return text;
  },
  revoked: async (them) => {
    const { text, codeId } = await held(them);
    await revokeCode(deps, { programId: shop.programId, codeId, reason: 'fraud' });
    return text;
  },
  expired: async (them) => {
    const { text } = await held(them, { endsAt: after(1_000) });
    await shop.clockAt(2_000);
    return text;
  },
  reserved: async (them) => {
    const { text } = await held(them);
    await shop.reserve(text, 'order-1');
    return text;
  },
  'above the amount': async (them) => (await held(them, { minOrderAmount: 99_999 })).text,
  'locked by its owner': async (them) => {
    const { text, codeId } = await held(them);
    await other.begin();
    // For as long as the test takes: who waited for it would hear BUSY.
    await other.query('SELECT FROM codes WHERE id = $1 FOR UPDATE', [codeId]);
    return text;
  },
};

test.each(Object.keys(foreignCodes))(
  'to a member the code of somebody else is one answer, and nothing is waited for: %s',
  async (state) => {
    const them = await shop.member();
    const text = await (foreignCodes[state] as (them: string) => Promise<string>)(them.id);
    for (const order of ['order-1', 'order-2']) {
      expect(await unchanged(deps.db, () => shop.redeem(text, order, asMe()))).toEqual(FOREIGN);
      expect(await unchanged(deps.db, () => shop.reserve(text, order, asMe()))).toEqual(FOREIGN);
      expect(await unchanged(deps.db, () => shop.release(text, order, asMe()))).toBe(false);
    }
    if (state === 'locked by its owner') await other.rollback();
  },
);

test('a member reserves, releases and redeems its own code', async () => {
  const { text, codeId } = await held(me.id);
  expect(await shop.reserve(text, 'order-1', asMe())).toMatchObject({ ok: true });
  expect(await shop.release(text, 'order-1', asMe())).toBe(true);
  expect(await shop.redeem(text, 'order-1', asMe())).toMatchObject({
    ok: true,
    alreadyRedeemed: false,
    code: { id: codeId },
  });
  expect(await shop.redeem(text, 'order-1', asMe())).toMatchObject({ alreadyRedeemed: true });
});

test('about its own code a member is told what is the matter', async () => {
  const [used, revoked, taken, dear] = [
    await held(me.id),
    await held(me.id),
    await held(me.id),
    await held(me.id, { minOrderAmount: 99_999 }),
  ];
  await shop.redeemed(used.text, 'order-1');
  await revokeCode(deps, { programId: shop.programId, codeId: revoked.codeId, reason: 'fraud' });
  await shop.reserve(taken.text, 'order-1');
  const reasons = [];
  for (const { text } of [used, revoked, taken, dear])
    reasons.push(await shop.refused(() => shop.redeem(text, 'order-2', asMe())));
  expect(reasons).toEqual([
    'CODE_ALREADY_REDEEMED',
    'CODE_REVOKED',
    'CODE_RESERVED',
    'BELOW_MINIMUM_ORDER',
  ]);
});

test("a code that a guest claimed with a member's verified address is the member's own", async () => {
  const pool = await shop.pool(1);
  const email = `${unique('guest')}@shop.example`;
  const { plaintext } = await shop.claimed(pool.id, { email });
  expect(await shop.redeem(plaintext, 'order-1', asMe())).toEqual(FOREIGN);
  await shop.verify(me.externalId, email);
  expect(await shop.redeem(plaintext, 'order-1', asMe())).toMatchObject({ ok: true });
});
