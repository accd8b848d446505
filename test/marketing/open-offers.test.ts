/** An offer that an open pool makes is not proposed, whatever the facts know of that pool. */
import { expect, test } from 'vitest';
import type { PoolId } from '../../src/kernel/ids.ts';
import { couponAdvisor } from '../../src/marketing/index.ts';
import { testDeps } from '../support/database.ts';
import { suggestion, withModel } from '../support/model-scene.ts';
import { aModelServer, says } from '../support/model-server.ts';
import { after, openShop, type Shop } from '../support/shop.ts';

const plain = await testDeps({ clock: { now: () => after(0) } });
const server = await aModelServer();
const offer = { discountKind: 'PERCENT', discountValue: 1_000, minOrderAmount: 0 } as const;
server.answers(says({ suggestions: [suggestion({ ...offer, maxDiscount: null })] }));
const deps = withModel(plain, server);

/** Whether the rules, and a model that proposes nothing else, make this offer. */
async function isProposed({ programId }: Shop, of = deps): Promise<boolean[]> {
  const reports = [
    await couponAdvisor({ ...of, config: plain.config }, { programId }),
    await couponAdvisor(of, { programId }),
  ];
  return reports.map(({ suggestions }) =>
    suggestions.some(
      ({ draft }) =>
        draft.discountKind === offer.discountKind &&
        draft.discountValue === offer.discountValue &&
        draft.minOrderAmount === offer.minOrderAmount,
    ),
  );
}

test('an offer is proposed until a pool makes it, and again when that is archived or has ended', async () => {
  const shop = await openShop(plain);
  const { programId } = shop;
  expect(await isProposed(shop)).toEqual([true, true]);
  const { id } = await shop.pool(1, offer);
  const where = { programId_id: { programId, id: id as PoolId } };
  for (const status of ['ACTIVE', 'PAUSED', 'ARCHIVED'] as const) {
    await plain.db.pool.update({ where, data: { status } });
    const is = status === 'ARCHIVED';
    expect(await isProposed(shop)).toEqual([is, is]);
  }
  await shop.pool(1, { ...offer, endsAt: after(1_000) });
  expect(await isProposed(shop)).toEqual([false, false]);
  await shop.clockAt(1_000);
  expect(await isProposed(shop)).toEqual([true, true]);
  await shop.draft(1, offer);
  expect(await isProposed(shop)).toEqual([false, false]);
});

test('a pool that the report has no room for makes its offer too', async () => {
  const shop = await openShop(plain);
  const { programId } = shop;
  const { id } = await shop.pool(1, offer);
  const { id: _, ...like } = await plain.db.pool.findUniqueOrThrow({
    where: { programId_id: { programId, id: id as PoolId } },
  });
  // Nothing was redeemed anywhere: they come in the order of their ids, and these come first.
  await plain.db.pool.createMany({
    data: Array.from({ length: 1_000 }, (_, i) => ({
      ...like,
      id: `00000000-0000-7000-8000-${String(i).padStart(12, '0')}`,
      status: 'DRAFT' as const,
      discountValue: 700n,
    })),
  });
  const { facts } = await couponAdvisor(deps, { programId });
  expect(facts.pools.map(({ poolId }) => poolId)).not.toContain(id);
  expect(await isProposed(shop)).toEqual([false, false]);
});

test('a pool that is younger than the facts makes its offer too', async () => {
  let now = after(0).getTime();
  // Each look takes a second and a half: so much that these facts are kept.
  const slow = {
    ...deps,
    clock: {
      now: () => {
        now += 1_500;
        return new Date(now);
      },
    },
  };
  const shop = await openShop(plain);
  expect(await isProposed(shop, slow)).toEqual([true, true]);
  await shop.draft(1, offer);
  const { facts } = await couponAdvisor(slow, { programId: shop.programId });
  expect(facts.pools).toEqual([]);
  expect(await isProposed(shop, slow)).toEqual([false, false]);
});
