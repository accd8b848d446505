import { expect, test } from 'vitest';
import {
  activatePool,
  archivePool,
  generateCodes,
  type PoolStatus,
  pausePool,
  poolsByIds,
  resumePool,
  updatePool,
} from '../../src/coupons/index.ts';
import type { PoolId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { aProgram, poolInput } from '../support/factories.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { openShop } from '../support/shop.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const shop = await openShop(deps);
const { programId } = shop;
const [raw] = (await sessions(deps.config.databaseUrl, 1)) as [Session];

const STATUSES: PoolStatus[] = ['DRAFT', 'ACTIVE', 'PAUSED', 'ARCHIVED'];
const moves = { activatePool, pausePool, resumePool, archivePool };
const ARROWS = new Set([
  'DRAFT activatePool ACTIVE',
  'ACTIVE pausePool PAUSED',
  'ACTIVE archivePool ARCHIVED',
  'PAUSED resumePool ACTIVE',
  'PAUSED archivePool ARCHIVED',
]);
const PATHS: Record<PoolStatus, (keyof typeof moves)[]> = {
  DRAFT: [],
  ACTIVE: ['activatePool'],
  PAUSED: ['activatePool', 'pausePool'],
  ARCHIVED: ['activatePool', 'archivePool'],
};

async function poolIn(
  status: PoolStatus,
  codes = 1,
): Promise<{ programId: typeof programId; poolId: PoolId }> {
  const ref = { programId, poolId: (await shop.draft(codes)).id };
  for (const move of PATHS[status]) await moves[move](deps, ref);
  return ref;
}

const statusOf = async (poolId: PoolId) =>
  (await poolsByIds(deps, { programId, ids: [poolId] }))[0]?.status;

const commands = STATUSES.flatMap((from) =>
  Object.keys(moves).map((move) => [from, move as keyof typeof moves] as const),
);

test.each(commands)('from %s, %s goes only along an arrow', async (from, move) => {
  const ref = await poolIn(from);
  const arrow = [...ARROWS].find((name) => name.startsWith(`${from} ${move} `));
  if (arrow) {
    const pool = await moves[move](deps, ref);
    expect(pool.status).toBe(arrow.split(' ')[2]);
  } else {
    const error = await mistake(deps.db, () => moves[move](deps, ref));
    expect(error.code).toBe('CONFLICT');
  }
  expect(await statusOf(ref.poolId)).toBe(arrow?.split(' ')[2] ?? from);
});

const pairs = STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const));

test.each(pairs)(
  'the database itself lets a pool go from %s to %s only along an arrow',
  async (from, to) => {
    const { poolId } = await poolIn(from);
    const move = () =>
      deps.db.$executeRaw`UPDATE pools SET status = ${to}::pool_status WHERE id = ${poolId}::uuid`;
    const isArrow = [...ARROWS].some((name) => name.startsWith(from) && name.endsWith(` ${to}`));
    if (isArrow || from === to) await move();
    else
      await unchanged(deps.db, () =>
        expect(move()).rejects.toThrow('no such arrow in the life of a pool'),
      );
    expect(await statusOf(poolId)).toBe(isArrow ? to : from);
  },
);

test('the same move twice is made once, and the second is a conflict', async () => {
  const ref = await poolIn('ACTIVE');
  await pausePool(deps, ref);
  const error = await mistake(deps.db, () => pausePool(deps, ref));
  expect(error).toMatchObject({
    code: 'CONFLICT',
    message: 'id: a pool in PAUSED cannot be paused',
  });
});

test('of ten pauses at once one is made', async () => {
  const ref = await poolIn('ACTIVE');
  const answers = await Promise.allSettled(Array.from({ length: 10 }, () => pausePool(deps, ref)));
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test.each(STATUSES)('in %s the settings can be edited only if that is DRAFT', async (status) => {
  const ref = await poolIn(status);
  const edit = () =>
    updatePool(deps, { ...ref, input: poolInput({ name: 'Renamed', discountValue: 2_000 }) });
  const edited = status === 'DRAFT';
  if (edited)
    expect(await edit()).toMatchObject({ name: 'Renamed', discountValue: 2_000n, status });
  else expect(await mistake(deps.db, edit)).toMatchObject({ code: 'CONFLICT' });
});

test.each([
  ["name = 'Renamed'"],
  ["discount_kind = 'AMOUNT'"],
  ['discount_value = 2000'],
  ['max_discount = 1'],
  ['min_order_amount = 1'],
  ["prefix = 'X-'"],
  ["starts_at = '2021-01-01Z'"],
  ["ends_at = '2031-01-01Z'"],
  ['per_member_limit = 2'],
  ['min_tier_id = (SELECT id FROM tiers WHERE program_id = pools.program_id AND rank = 1)'],
  ["exhaustion = 'TOP_UP', max_codes = 1"],
  ['max_codes = 5'],
  ['stackable = true'],
])('outside of DRAFT the database itself refuses to set %s', async (assignment) => {
  const { poolId } = await poolIn('PAUSED');
  const edit = (id: string) => raw.query(`UPDATE pools SET ${assignment} WHERE id = $1`, [id]);
  await unchanged(deps.db, () =>
    expect(edit(poolId)).rejects.toThrow('a pool is edited in DRAFT only'),
  );
  await edit((await poolIn('DRAFT')).poolId);
});

test.each(STATUSES)('codes are generated in %s only if that is DRAFT or PAUSED', async (status) => {
  const ref = await poolIn(status);
  const generate = () => generateCodes(deps, { ...ref, count: 3 });
  if (status === 'DRAFT' || status === 'PAUSED') {
    expect((await generate()).count).toBe(3);
    expect(await shop.count(ref.poolId, 'AVAILABLE')).toBe(4);
  } else {
    const error = await mistake(deps.db, generate);
    expect(error).toMatchObject({ code: 'CONFLICT' });
    expect(error.message).toBe(`poolId: codes are generated in DRAFT and PAUSED, not in ${status}`);
  }
});

test('a pool without a code is not activated, unless it tops itself up', async () => {
  const empty = { programId, poolId: (await shop.draft(0)).id };
  const error = await mistake(deps.db, () => activatePool(deps, empty));
  expect(error).toMatchObject({ code: 'CONFLICT' });
  expect(error.message).toMatch(/without a code/);
  const minting = await shop.draft(0, { exhaustion: 'TOP_UP', maxCodes: 10 });
  const pool = await activatePool(deps, { programId, poolId: minting.id });
  expect(pool.status).toBe('ACTIVE');
});

test("a pool of another program is not found, and neither is one that isn't there", async () => {
  const other = await aProgram(deps);
  const { poolId } = await poolIn('DRAFT');
  for (const ref of [
    { programId: other.programId, poolId },
    { programId, poolId: '0190a5f0-0000-7000-8000-000000000000' as PoolId },
  ])
    for (const work of [
      ...Object.values(moves).map((move) => () => move(deps, ref)),
      () => updatePool(deps, { ...ref, input: poolInput() }),
      () => generateCodes(deps, { ...ref, count: 1 }),
    ])
      expect(await mistake(deps.db, work)).toMatchObject({ code: 'NOT_FOUND' });
  expect(await poolsByIds(deps, { programId: other.programId, ids: [poolId] })).toEqual([null]);
});

test('once a pause has answered no claim is answered with a new code', async () => {
  const { poolId } = await poolIn('ACTIVE', 60);
  const members = await Promise.all(Array.from({ length: 50 }, () => shop.member()));
  const claims = members.map((member) => shop.claim(poolId, { memberId: member.id }));
  await pausePool(deps, { programId, poolId });
  const issued = await shop.count(poolId, 'ALLOCATED');
  const answers = await Promise.all(claims);
  expect(answers.filter((answer) => answer.ok)).toHaveLength(issued);
  expect(await shop.count(poolId, 'ALLOCATED')).toBe(issued);
  for (const answer of answers) if (!answer.ok) expect(answer.reason).toBe('POOL_NOT_ISSUING');
});
