import { expect, test } from 'vitest';
import { setTiers } from '../../src/programs/index.ts';
import { testDeps } from '../support/database.ts';
import { after, openShop } from '../support/shop.ts';

const deps = await testDeps();
const HOUR = 3_600_000;

test('a pool issues from its first millisecond to the one before its end, by the clock of the program', async () => {
  const shop = await openShop(deps);
  const pool = await shop.pool(9, { startsAt: after(HOUR), endsAt: after(2 * HOUR) });
  const early = await shop.member();
  const moments: [number, boolean][] = [
    [0, false],
    [HOUR - 1, false],
    [HOUR, true],
    [HOUR + 1, true],
    [2 * HOUR - 1, true],
    [2 * HOUR, false],
    [2 * HOUR + 1, false],
  ];
  for (const [at, issues] of moments) {
    await shop.clockAt(at);
    const member = await shop.member();
    if (issues) await shop.claimed(pool.id, { memberId: member.id });
    else
      expect(await shop.refused(() => shop.claim(pool.id, { memberId: member.id }))).toBe(
        'POOL_NOT_ISSUING',
      );
  }
  expect(await shop.refused(() => shop.claim(pool.id, { memberId: early.id }))).toBe(
    'POOL_NOT_ISSUING',
  );
  expect(await shop.count(pool.id, 'ALLOCATED')).toBe(3);
});

test('a code can be redeemed up to the millisecond before the end of its pool', async () => {
  const shop = await openShop(deps);
  const pool = await shop.pool(3, { endsAt: after(HOUR) });
  const held = [];
  for (let i = 0; i < 3; i++) {
    const member = await shop.member();
    held.push((await shop.claimed(pool.id, { memberId: member.id })).plaintext);
  }
  const [first, second, third] = held as [string, string, string];
  await shop.clockAt(HOUR - 1);
  await shop.redeemed(first, 'order-1');
  for (const at of [HOUR, HOUR + 1]) {
    await shop.clockAt(at);
    expect(await shop.refused(() => shop.redeem(second, 'order-2'))).toBe('CODE_EXPIRED');
    expect(await shop.refused(() => shop.reserve(third, 'order-3'))).toBe('CODE_EXPIRED');
  }
});

test('a code that is held already is given after the end of its pool as well', async () => {
  const shop = await openShop(deps);
  const pool = await shop.pool(1, { endsAt: after(HOUR) });
  const member = await shop.member();
  const first = await shop.claimed(pool.id, { memberId: member.id });
  await shop.clockAt(2 * HOUR);
  const again = await shop.claimed(pool.id, { memberId: member.id });
  expect(again).toMatchObject({ alreadyClaimed: true, plaintext: first.plaintext });
});

test('allocated, redeemed and created are told by the clock of the program', async () => {
  const shop = await openShop(deps);
  await shop.clockAt(HOUR);
  const pool = await shop.pool(1);
  await shop.clockAt(2 * HOUR);
  const member = await shop.member();
  const { code, plaintext } = await shop.claimed(pool.id, { memberId: member.id });
  await shop.clockAt(3 * HOUR);
  const { redemption } = await shop.redeemed(plaintext, 'order-1');
  expect([pool.createdAt, member.createdAt, code.allocatedAt, redemption.redeemedAt]).toEqual([
    after(HOUR),
    after(2 * HOUR),
    after(2 * HOUR),
    after(3 * HOUR),
  ]);
});

test('a pool with a lowest tier issues to that rank and above, and to no guest', async () => {
  const shop = await openShop(deps);
  const { programId } = shop;
  const tiers = await deps.db.tier.findMany({ where: { programId }, orderBy: { rank: 'asc' } });
  const [, , gold] = tiers as [unknown, unknown, (typeof tiers)[number]];
  const pool = await shop.pool(9, { minTierId: gold.id });
  for (const tier of tiers) {
    const { id } = await shop.member({ email: `${tier.rank}@shop.example`, emailVerified: true });
    await deps.db.member.update({
      where: { programId_id: { programId, id } },
      data: { tierId: tier.id },
    });
    const claims = [{ email: `${tier.rank}@shop.example` }, { memberId: id }];
    for (const who of claims)
      if (tier.rank >= gold.rank) await shop.claimed(pool.id, who);
      else expect(await shop.refused(() => shop.claim(pool.id, who))).toBe('NOT_ELIGIBLE');
  }
  expect(await shop.refused(() => shop.claim(pool.id, { email: 'g@shop.example' }))).toBe(
    'NOT_ELIGIBLE',
  );
  expect(await shop.count(pool.id, 'ALLOCATED')).toBe(tiers.length - gold.rank + 1);
});

test('a member who sinks below the lowest tier keeps the code and gets no other', async () => {
  const shop = await openShop(deps);
  const { programId } = shop;
  const tiers = await deps.db.tier.findMany({ where: { programId }, orderBy: { rank: 'asc' } });
  const [base, silver] = tiers as [(typeof tiers)[number], (typeof tiers)[number]];
  const pool = await shop.pool(2, { minTierId: silver.id, perMemberLimit: 2 });
  const { id } = await shop.member();
  const stand = (tierId: string) =>
    deps.db.member.update({ where: { programId_id: { programId, id } }, data: { tierId } });
  await stand(silver.id);
  const first = await shop.claimed(pool.id, { memberId: id, claimKey: 'a' });
  await stand(base.id);
  const again = await shop.claimed(pool.id, { memberId: id, claimKey: 'a' });
  expect(again).toMatchObject({ alreadyClaimed: true, plaintext: first.plaintext });
  const more = () => shop.claim(pool.id, { memberId: id, claimKey: 'b' });
  expect(await shop.refused(more)).toBe('NOT_ELIGIBLE');
});

test('a tier that a pool asks for is not removed from the ladder', async () => {
  const shop = await openShop(deps);
  const { programId } = shop;
  const tiers = await deps.db.tier.findMany({ where: { programId }, orderBy: { rank: 'asc' } });
  await shop.draft(0, { minTierId: tiers[3]?.id });
  const shorter = tiers.slice(0, 3).map((tier) => ({
    name: tier.name,
    qualifyPoints: Number(tier.qualifyPoints),
    maintainPoints: Number(tier.maintainPoints),
    multiplier: tier.multiplier,
  }));
  await expect(setTiers(deps, { programId, tiers: shorter })).rejects.toMatchObject({
    code: 'CONFLICT',
  });
});
