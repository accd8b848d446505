/** A changed ladder surprises nobody: it takes effect at the next award or the next evaluation. */
import { describe, expect, test } from 'vitest';
import { birthdayBonusTask, evaluateTiersTask } from '../../src/loyalty/index.ts';
import { setTiers } from '../../src/programs/index.ts';
import { testDeps } from '../support/database.ts';
import { runTask, whoIsDue } from '../support/member-tasks.ts';
import { ladder, openTiers, RUNGS, type Rungs } from '../support/tiers.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const EASIER: Rungs = [
  [0, 0],
  [50, 40],
  [200, 160],
  [400, 320],
];
const HARDER: Rungs = [
  [0, 0],
  [200, 160],
  [1_000, 800],
  [2_000, 1_600],
];

/** A member on rank 2 by 300 points, who has been looked at; a second ladder has just been set. */
async function after(rungs: Rungs) {
  const own = await openTiers(deps);
  const member = await own.member();
  await own.lot(member, 300);
  await own.live('2021-01-02');
  await own.setLadder(rungs);
  return { own, member };
}

test('nobody moves when it is set', async () => {
  for (const rungs of [EASIER, HARDER]) {
    const { own, member } = await after(rungs);
    expect(await own.rank(member)).toBe(2);
    expect(await own.history(member)).toEqual(['QUALIFIED 1-2 2021-01-01']);
  }
});

test('the next evaluation moves up to what is reached by now, and says why', async () => {
  const { own, member } = await after(EASIER);
  await own.live('2021-01-03');
  expect((await own.history(member)).slice(1)).toEqual(['LADDER_CHANGED 2-3 2021-01-03']);
  expect((await own.told(member)).slice(1)).toEqual(['2021-01-03 upgraded']);
  expect(await own.dawn('2021-01-04')).toEqual({ scanned: 1, changed: 0 });
  expect(await own.differences()).toEqual([]);
});

test('the next award moves up, even one that earns nothing', async () => {
  const { own, member } = await after(EASIER);
  await own.lot(member, 0);
  expect((await own.history(member)).slice(1)).toEqual(['QUALIFIED 2-3 2021-01-02']);
});

test('a spend and a refund move nobody; a grant judges by purchases alone', async () => {
  const { own, member } = await after(EASIER);
  await own.refund(await own.spent(member, 10), 10);
  expect(await own.rank(member)).toBe(2);
  const { id } = await own.grant(member, 1_000, { key: 'once' });
  expect((await own.history(member)).slice(1)).toEqual(['QUALIFIED 2-3 2021-01-02']);
  await own.setLadder(RUNGS.map(([points]) => [points / 2, 0] as const));
  expect((await own.grant(member, 1_000, { key: 'once' })).id).toBe(id);
  expect(await own.rank(member)).toBe(3);
});

test('a bonus of the day moves up as an award does', async () => {
  const { own, member } = await after(EASIER);
  await own.set({ birthdayBonus: 5 });
  await deps.db.member.updateMany({
    where: { id: member },
    data: { birthday: new Date('1990-01-03') },
  });
  const { programId } = own;
  await runTask(deps, birthdayBonusTask, { programId, day: '2021-01-03' });
  expect((await own.history(member)).slice(1)).toEqual(['QUALIFIED 2-3 2021-01-02']);
  expect(await own.differences()).toEqual([]);
});

test('a harder one begins a grace, and nobody falls before that is over', async () => {
  const { own, member } = await after([
    [0, 0],
    [400, 301],
    [1_000, 800],
    [2_000, 1_600],
  ]);
  await own.live('2021-02-01');
  expect(await own.rank(member)).toBe(2);
  expect(await own.grace(member)).toBe('2021-02-02');
  await own.live('2021-02-02');
  expect((await own.history(member)).slice(1)).toEqual(['GRACE_OVER 2-1 2021-02-02']);
});

test('points that are enough to stay are enough, whatever it takes to get there now', async () => {
  const { own, member } = await after([
    [0, 0],
    [400, 300],
    [1_000, 800],
    [2_000, 1_600],
  ]);
  await own.live('2021-06-01');
  expect([await own.rank(member), await own.grace(member)]).toEqual([2, null]);
});

test('an easier one clears a grace, or ends it with an upgrade', async () => {
  for (const [rungs, rank] of [
    [
      [
        [0, 0],
        [100, 50],
        [500, 400],
        [1_000, 800],
      ],
      2,
    ],
    [
      [
        [0, 0],
        [20, 10],
        [60, 50],
        [1_000, 800],
      ],
      3,
    ],
  ] as const) {
    const own = await openTiers(deps);
    const member = await own.member();
    await own.lot(member, 100);
    await own.live('2021-12-31');
    await own.lot(member, 60);
    await own.live('2022-01-10');
    expect(await own.grace(member)).toBe('2022-01-31');
    await own.setLadder(rungs);
    await own.live('2022-01-11');
    expect([await own.rank(member), await own.grace(member)]).toEqual([rank, null]);
  }
});

describe('only one that could move somebody has everybody looked at', () => {
  const due = async (own: Awaited<ReturnType<typeof openTiers>>) =>
    (await whoIsDue(deps, evaluateTiersTask, { programId: own.programId, day: '2021-01-03' }))
      .length;
  const named = ladder(RUNGS).map((tier) => ({
    ...tier,
    name: `${tier.name}!`,
    multiplier: 20_000,
  }));

  test.each([
    ['the same', ladder(RUNGS), 0],
    ['other names and multipliers', named, 0],
    [
      'another qualifyPoints',
      ladder([
        [0, 0],
        [101, 80],
        [500, 400],
        [1_000, 800],
      ]),
      1,
    ],
    [
      'another maintainPoints',
      ladder([
        [0, 0],
        [100, 80],
        [500, 400],
        [1_000, 801],
      ]),
      1,
    ],
    ['a rank more', ladder([...RUNGS, [2_000, 0]]), 1],
    ['a rank less', ladder(RUNGS.slice(0, 3)), 1],
  ])('%s', async (_, tiers, expected) => {
    const own = await openTiers(deps);
    const member = await own.member();
    await own.lot(member, 100);
    await own.live('2021-01-02');
    await setTiers(deps, { programId: own.programId, tiers });
    expect(await due(own)).toBe(expected);
  });

  test('and a member who comes later is judged by it from the start', async () => {
    const { own } = await after(EASIER);
    await own.evaluate('2021-01-03');
    await own.member();
    expect(await due(own)).toBe(0);
  });
});

test('the history shows a rank as it was, after it has changed and after it has gone', async () => {
  const own = await openTiers(deps);
  const member = await own.member();
  await own.lot(member, 1_000);
  await own.live('2022-04-15');
  expect(await own.rank(member)).toBe(1);
  await own.setLadder([
    [0, 0],
    [10, 0],
  ]);
  const changes = await unchanged(deps.db, () =>
    deps.db.tierChange.findMany({ where: { memberId: member }, orderBy: { id: 'asc' } }),
  );
  expect(changes.map(({ fromTier, toTier }) => [fromTier, toTier])).toMatchObject([
    [
      { name: 'Rank 1', qualifyPoints: 0 },
      { name: 'Rank 4', qualifyPoints: 1_000 },
    ],
    [
      { name: 'Rank 4', maintainPoints: 800 },
      { name: 'Rank 3', maintainPoints: 400 },
    ],
    [{ name: 'Rank 3' }, { name: 'Rank 2', qualifyPoints: 100 }],
    [{ name: 'Rank 2' }, { name: 'Rank 1' }],
  ]);
  expect(await own.differences()).toEqual([]);
});
