import { expect, test } from 'vitest';
import {
  createPool,
  generateCodes,
  listPools,
  type PoolInput,
  updatePool,
} from '../../src/coupons/index.ts';
import type { PoolId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { aProgram, poolInput, unique } from '../support/factories.ts';
import { after, openShop } from '../support/shop.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const shop = await openShop(deps);
const { programId } = shop;
const create = (input: Partial<PoolInput>, idempotencyKey?: string) =>
  createPool(deps, { programId, input: poolInput(input), idempotencyKey });

test('a pool starts in DRAFT with what was said, and the prefix of its kind', async () => {
  const gift = await create({ name: ' Tote bag ', discountKind: 'GIFT', discountValue: 0 });
  expect(gift).toMatchObject({
    name: 'Tote bag',
    status: 'DRAFT',
    prefix: 'GFT-',
    perMemberLimit: 1,
    createdAt: after(0),
  });
  expect(await create({ discountKind: 'AMOUNT', discountValue: 500 })).toMatchObject({
    prefix: 'AMT-',
    discountValue: 500n,
  });
  expect(await create({})).toMatchObject({ prefix: 'PCT-' });
  expect(await create({ prefix: 'XMAS' })).toMatchObject({ prefix: 'XMAS' });
});

test.each<[string, Partial<PoolInput>]>([
  ['input.name', { name: '' }],
  ['input.name', { name: 'a\u0007b' }],
  ['input.discountValue', { discountValue: 0 }],
  ['input.discountValue', { discountValue: 10_001 }],
  ['input.discountValue', { discountValue: 1.5 }],
  ['input.discountValue', { discountValue: 2 ** 53 }],
  ['input.discountValue', { discountKind: 'AMOUNT', discountValue: 0 }],
  ['input.discountValue', { discountKind: 'AMOUNT', discountValue: -5 }],
  ['input.discountValue', { discountKind: 'GIFT', discountValue: 1 }],
  ['input.maxDiscount', { maxDiscount: 0 }],
  ['input.maxDiscount', { discountKind: 'AMOUNT', discountValue: 5, maxDiscount: 1 }],
  ['input.minOrderAmount', { minOrderAmount: -1 }],
  ['input.prefix', { prefix: '' }],
  ['input.prefix', { prefix: 'A_B' }],
  ['input.prefix', { prefix: '-A' }],
  ['input.prefix', { prefix: 'A'.repeat(17) }],
  ['input.perMemberLimit', { perMemberLimit: 0 }],
  ['input.perMemberLimit', { perMemberLimit: 1_001 }],
  ['input.endsAt', { startsAt: after(5), endsAt: after(5) }],
  ['input.endsAt', { startsAt: after(5), endsAt: after(4) }],
  ['input.startsAt', { startsAt: new Date(Number.NaN) }],
  ['input.fallbackPoolId', { exhaustion: 'FALLBACK' }],
  ['input.fallbackPoolId', { fallbackPoolId: '0190a5f0-0000-7000-8000-000000000000' }],
  ['input.maxCodes', { exhaustion: 'TOP_UP' }],
  ['input.maxCodes', { maxCodes: 0 }],
])('bad input names %s and makes no pool: %j', async (field, input) => {
  const error = await mistake(deps.db, () => create(input));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field });
});

test.each<[string, Partial<PoolInput>]>([
  ['input.minTierId', { minTierId: 'nonsense' }],
  ['input.minTierId', { minTierId: '0190a5f0-0000-7000-8000-000000000000' }],
  [
    'input.fallbackPoolId',
    { exhaustion: 'FALLBACK', fallbackPoolId: '0190a5f0-0000-7000-8000-000000000000' },
  ],
])('what %s names is to be there: %j', async (field, input) => {
  const error = await mistake(deps.db, () => create(input));
  expect(error).toMatchObject({ code: 'NOT_FOUND', field });
});

test("another program's tier or pool is not there", async () => {
  const other = await aProgram(deps);
  const tier = await deps.db.tier.findFirstOrThrow({ where: { programId: other.programId } });
  const pool = await createPool(deps, { programId: other.programId, input: poolInput() });
  for (const input of [
    { minTierId: tier.id },
    { exhaustion: 'FALLBACK' as const, fallbackPoolId: pool.id },
  ])
    expect(await mistake(deps.db, () => create(input))).toMatchObject({ code: 'NOT_FOUND' });
  const { nodes } = await listPools(deps, { programId: other.programId, first: 200 });
  expect(nodes.map((node) => node.id)).toEqual([pool.id]);
});

test('with one idempotencyKey a pool is made once, and another payload is a conflict', async () => {
  const [input, key] = [poolInput({ endsAt: after(1_000) }), unique('key')];
  const make = (changes: Partial<PoolInput> = {}) =>
    createPool(deps, { programId, input: { ...input, ...changes }, idempotencyKey: key });
  const first = await make();
  expect((await unchanged(deps.db, () => make())).id).toBe(first.id);
  for (const changes of [{ name: 'Other' }, { endsAt: after(1_001) }, { stackable: true }])
    expect(await mistake(deps.db, () => make(changes))).toMatchObject({ code: 'CONFLICT' });
  const pools = await Promise.all([1, 2, 3, 4].map(() => create({ name: 'Once' }, unique('k4'))));
  expect(new Set(pools.map((pool) => pool.id)).size).toBe(4);
});

test('of ten calls with one key at once all answer the same pool', async () => {
  const [input, idempotencyKey] = [poolInput(), unique('key')];
  const pools = await Promise.all(
    Array.from({ length: 10 }, () => createPool(deps, { programId, input, idempotencyKey })),
  );
  expect(new Set(pools.map((pool) => pool.id)).size).toBe(1);
  expect(await deps.db.pool.count({ where: { programId, name: input.name } })).toBe(1);
});

const fallingBackTo = (fallbackPoolId: string) => ({
  exhaustion: 'FALLBACK' as const,
  fallbackPoolId,
});

/** `length` pools, each falling back to the one before it: the last is the one to ask. */
async function chain(length: number): Promise<PoolId[]> {
  const ids: PoolId[] = [];
  for (let i = 0; i < length; i++) {
    const last = ids.at(-1);
    ids.push((await create(last ? fallingBackTo(last) : {})).id as PoolId);
  }
  return ids;
}

test('a chain of eight pools may be made, and a ninth not in front of it', async () => {
  const ids = await chain(8);
  const error = await mistake(deps.db, () => create(fallingBackTo(ids[7] as string)));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.fallbackPoolId' });
  expect(error.message).toMatch(/at most 8 pools/);
});

test('a ninth pool is not hung behind a chain of eight, nor two chains joined to nine', async () => {
  const [upper, lower] = [await chain(5), await chain(4)];
  const join = (from: PoolId, to: PoolId) =>
    updatePool(deps, { programId, poolId: from, input: poolInput(fallingBackTo(to)) });
  const [end] = upper as [PoolId];
  const head = lower.at(-1) as PoolId;
  expect(await mistake(deps.db, () => join(end, head))).toMatchObject({ code: 'BAD_USER_INPUT' });
  await join(end, lower[2] as PoolId); // five and three are eight
  const extra = (await create({})).id as PoolId;
  const tail = lower[0] as PoolId;
  expect(await mistake(deps.db, () => join(tail, extra))).toMatchObject({ code: 'BAD_USER_INPUT' });
});

test.each([1, 2, 3, 8])('a chain of %d pools is not closed to a circle', async (length) => {
  const ids = await chain(length);
  const error = await mistake(deps.db, () =>
    updatePool(deps, {
      programId,
      poolId: ids[0] as PoolId,
      input: poolInput(fallingBackTo(ids.at(-1) as string)),
    }),
  );
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.fallbackPoolId' });
  expect(error.message).toMatch(/does not lead back/);
});

test('two halves of a circle that are set at the same moment do not make one', async () => {
  for (let round = 0; round < 5; round++) {
    const [a, b] = [(await create({})).id as PoolId, (await create({})).id as PoolId];
    const answers = await Promise.allSettled([
      updatePool(deps, { programId, poolId: a, input: poolInput(fallingBackTo(b)) }),
      updatePool(deps, { programId, poolId: b, input: poolInput(fallingBackTo(a)) }),
    ]);
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  }
});

test('an edit that takes the fallback away opens the chain again', async () => {
  const ids = await chain(8);
  await updatePool(deps, { programId, poolId: ids[7] as PoolId, input: poolInput() });
  await updatePool(deps, {
    programId,
    poolId: ids[0] as PoolId,
    input: poolInput(fallingBackTo(ids[7] as string)),
  });
});

test('a pool never makes more codes than its maxCodes, in one batch or in several', async () => {
  const pool = await shop.draft(0, { maxCodes: 10 });
  const generate = (count: number) => generateCodes(deps, { programId, poolId: pool.id, count });
  expect(await mistake(deps.db, () => generate(11))).toMatchObject({ code: 'CONFLICT' });
  await generate(7);
  expect(await mistake(deps.db, () => generate(4))).toMatchObject({
    code: 'CONFLICT',
    message: "count: the pool's maxCodes leaves room for 3 more codes",
  });
  await generate(3);
  expect(await mistake(deps.db, () => generate(1))).toMatchObject({ code: 'CONFLICT' });
  expect(await shop.count(pool.id, 'AVAILABLE')).toBe(10);
});

test('batches that are generated at the same moment do not pass maxCodes together', async () => {
  const pool = await shop.draft(0, { maxCodes: 10 });
  const answers = await Promise.allSettled(
    Array.from({ length: 6 }, () => generateCodes(deps, { programId, poolId: pool.id, count: 4 })),
  );
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
  expect(await shop.count(pool.id, 'AVAILABLE')).toBe(8);
});

test('a page of pools can be of one status, and every pool is on one page', async () => {
  const { programId: place } = await aProgram(deps);
  const ids: string[] = [];
  for (let i = 0; i < 5; i++)
    ids.push((await createPool(deps, { programId: place, input: poolInput() })).id);
  const first = await listPools(deps, { programId: place, first: 3 });
  const cursor = first.pageInfo.endCursor;
  const rest = await listPools(deps, { programId: place, first: 3, after: cursor });
  expect([...first.nodes, ...rest.nodes].map((pool) => pool.id)).toEqual(ids.sort());
  expect([first.pageInfo.hasNextPage, rest.pageInfo.hasNextPage]).toEqual([true, false]);
  const active = await listPools(deps, { programId: place, first: 3, status: 'ACTIVE' });
  expect(active.nodes).toEqual([]);
});
