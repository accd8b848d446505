/** Every threshold of the default ladder, at one point less, exactly, and one more. */
import { expect, test } from 'vitest';
import { testDeps } from '../support/database.ts';
import { openTiers } from '../support/tiers.ts';

const deps = await testDeps();
const DEFAULT = { tiers: undefined, settings: { maxBackdateDays: 60 } } as never;
const TIERS = [
  { rank: 2, qualify: 1_000, maintain: 800 },
  { rank: 3, qualify: 5_000, maintain: 4_000 },
  { rank: 4, qualify: 15_000, maintain: 12_000 },
];
const AROUND = [-1, 0, 1];

test('a tier is reached at its points, and not at one less', async () => {
  const own = await openTiers(deps, DEFAULT);
  for (const { rank, qualify } of TIERS)
    for (const by of AROUND) {
      const member = await own.member();
      await own.lot(member, qualify + by);
      expect([qualify + by, await own.earned(member)]).toEqual([qualify + by, qualify + by]);
      expect([qualify + by, await own.rank(member)]).toEqual([
        qualify + by,
        by < 0 ? rank - 1 : rank,
      ]);
    }
});

test('a tier is kept with its points, and falls into a grace with one less', async () => {
  const own = await openTiers(deps, { ...(DEFAULT as object), day: '2021-06-01' });
  const people = [];
  for (const { rank, qualify, maintain } of TIERS)
    for (const by of AROUND) {
      const member = await own.member();
      // What will be left is earned at 1x, and the rest before it, whatever that is multiplied by.
      await own.lot(member, maintain + by);
      const occurredAt = new Date('2021-05-01T12:00:00Z');
      await own.lot(member, qualify - maintain + 1, { occurredAt });
      expect(await own.rank(member)).toBe(rank);
      people.push({ member, rank, left: maintain + by, grace: by < 0 ? '2022-05-31' : null });
    }
  await own.live('2022-05-01');
  for (const { member, rank, left, grace } of people) {
    const stands = [await own.earned(member), await own.rank(member), await own.grace(member)];
    expect(stands).toEqual([left, rank, grace]);
  }
  expect(await own.differences()).toEqual([]);
});
