import { expect, test } from 'vitest';
import { canonicalForm, looksMistyped } from '../../src/coupons/canonical.ts';
import { findCode, generateCodes, importCodes, listCodes } from '../../src/coupons/index.ts';
import { openCode } from '../../src/coupons/vault.ts';
import type { PoolId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { openShop } from '../support/shop.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const shop = await openShop(deps);
const { programId } = shop;

const draft = async () => (await shop.draft(0)).id;
const generate = (poolId: PoolId, count: number, idempotencyKey?: string) =>
  generateCodes(deps, { programId, poolId, count, idempotencyKey });
const bring = (poolId: PoolId, codes: string[], idempotencyKey?: string) =>
  importCodes(deps, { programId, poolId, codes, idempotencyKey });

const textsOf = async (poolId: PoolId) =>
  (await deps.db.code.findMany({ where: { programId, poolId } })).map((code) => ({
    text: openCode(deps, code),
    masked: code.masked,
  }));

test('a batch has exactly the codes that were asked for, all different, masked and encrypted', async () => {
  const poolId = await draft();
  const batch = await generate(poolId, 500);
  expect(batch).toMatchObject({ poolId, count: 500 });
  const codes = await textsOf(poolId);
  expect(new Set(codes.map(({ text }) => canonicalForm(text))).size).toBe(500);
  for (const { text, masked } of codes) {
    expect(masked).toBe(`PCT-••••${text.slice(-2)}`);
    expect(looksMistyped(canonicalForm(text))).toBe(false);
  }
  const one = codes[0] as { text: string };
  const dump = await deps.db.$queryRaw<{ rows: string }[]>`
    SELECT string_agg(c::text || encode(ciphertext, 'escape'), '') AS rows FROM codes c
    WHERE program_id = ${programId}::uuid AND pool_id = ${poolId}::uuid`;
  expect(dump[0]?.rows).not.toContain(one.text);
  expect(dump[0]?.rows).not.toContain(canonicalForm(one.text));
});

test.each([0, -1, 5_001, 1.5, Number.NaN])('a count of %d is bad input', async (count) => {
  const poolId = await draft();
  const error = await mistake(deps.db, () => generate(poolId, count));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'count' });
});

test('when the source of randomness repeats itself, the batch is not made at all', async () => {
  const stuck = await testDeps({
    databaseUrl: deps.config.databaseUrl,
    // Ids come ten bytes at a time, and are to differ; the texts of the codes are all the same.
    random: {
      bytes: (count) => (count % 15 === 0 ? Buffer.alloc(count) : deps.random.bytes(count)),
    },
  });
  const poolId = await draft();
  const batch = () => generateCodes(stuck, { programId, poolId, count: 2 });
  await unchanged(deps.db, () => expect(batch()).rejects.toThrow('repeats itself'));
});

test('a code that is drawn twice is drawn anew, and the batch is whole', async () => {
  let calls = 0;
  const stutters = await testDeps({
    databaseUrl: deps.config.databaseUrl,
    random: {
      bytes: (count) =>
        count % 15 === 0 && calls++ === 0 ? Buffer.alloc(count, 9) : deps.random.bytes(count),
    },
  });
  const poolId = await draft();
  await generateCodes(stutters, { programId, poolId, count: 7 });
  const texts = (await textsOf(poolId)).map(({ text }) => text);
  expect(new Set(texts).size).toBe(7);
  expect(texts.filter((text) => text.startsWith('PCT-9999-9999-'))).toHaveLength(1);
});

test('with one idempotencyKey codes are generated once, and another payload is a conflict', async () => {
  const [poolId, other, key] = [await draft(), await draft(), unique('key')];
  const first = await generate(poolId, 5, key);
  expect(await unchanged(deps.db, () => generate(poolId, 5, key))).toEqual(first);
  for (const again of [() => generate(poolId, 6, key), () => generate(other, 5, key)])
    expect(await mistake(deps.db, again)).toMatchObject({ code: 'CONFLICT' });
});

test('a retry after the pool went ACTIVE still answers the first batch', async () => {
  const [poolId, key] = [await draft(), unique('key')];
  const first = await generate(poolId, 5, key);
  await deps.db.pool.update({
    where: { programId_id: { programId, id: poolId } },
    data: { status: 'ACTIVE' },
  });
  expect(await generate(poolId, 5, key)).toEqual(first);
});

test('a refused call leaves its idempotencyKey unused', async () => {
  const [pool, key] = [await shop.pool(1), unique('key')];
  expect(await mistake(deps.db, () => generate(pool.id, 5, key))).toMatchObject({
    code: 'CONFLICT',
  });
  expect((await generate(await draft(), 3, key)).count).toBe(3);
});

test('of ten calls with one key at once all answer the same batch', async () => {
  const [poolId, key] = [await draft(), unique('key')];
  const batches = await Promise.all(Array.from({ length: 10 }, () => generate(poolId, 5, key)));
  expect(new Set(batches.map((batch) => batch.id)).size).toBe(1);
  expect(await shop.count(poolId, 'AVAILABLE')).toBe(5);
});

test('one key names a generation and an import, and each operation once', async () => {
  const [poolId, key] = [await draft(), unique('key')];
  await generate(poolId, 2, key);
  await bring(poolId, ['SHARED-KEY-1'], key);
  expect(await shop.count(poolId, 'AVAILABLE')).toBe(3);
});

test('imported codes keep their spelling, and are found in any other', async () => {
  const poolId = await draft();
  const batch = await bring(poolId, [' Summer-Sale ', 'winter 2021', 'ÉTÉ-2021']);
  expect(batch.count).toBe(3);
  const texts = (await textsOf(poolId)).map(({ text }) => text);
  expect(texts.sort()).toEqual(['Summer-Sale', 'winter 2021', 'ÉTÉ-2021']);
  for (const typed of [
    'summer sale',
    'SUMMERSA1E',
    'Summer–Sale',
    'ＳＵＭＭＥＲＳＡＬＥ',
    'e\u0301te\u0301 2o2i',
  ])
    expect((await findCode(deps, { programId, code: typed }))?.poolId).toBe(poolId);
  expect(await findCode(deps, { programId, code: 'SUMMER' })).toBeNull();
});

test.each<[string, string[], string]>([
  ['equal to the letter', ['AAAA', 'BBBB', 'AAAA', 'CCCC', 'BBBB'], '3, 5'],
  ['in another case', ['promo1', 'PROMO1'], '2'],
  ['with spaces', ['promo-2', 'promo 2 ', ' promo2'], '2, 3'],
  ['look-alikes', ['CODE-O1', 'CODE-0I', 'C0DE-0L'], '2, 3'],
  ['full width', ['WIDE-7', 'ＷＩＤＥ－７'], '2'],
])('duplicates in a list name their rows and nothing is written: %s', async (_, codes, rows) => {
  const poolId = await draft();
  const error = await mistake(deps.db, () => bring(poolId, codes));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'codes' });
  expect(error.message).toMatch(new RegExp(`; rows ${rows} are not$`));
  for (const code of codes) expect(error.message).not.toContain(code.trim());
});

test('a code that another pool of the program has is refused with its row, generated ones too', async () => {
  const [here, there] = [await draft(), await draft()];
  await generate(there, 1);
  await bring(there, ['TAKEN-CODE']);
  const generated = (await textsOf(there)).map(({ text }) => text).find((t) => t !== 'TAKEN-CODE');
  const codes = ['FRESH-1', 'taken code', 'FRESH-2', (generated as string).toLowerCase()];
  for (const poolId of [here, there]) {
    const error = await mistake(deps.db, () => bring(poolId, codes));
    expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'codes' });
    expect(error.message).toMatch(/expected codes that .* does not have yet; rows 2, 4 are not$/);
    const all = await mistake(deps.db, () => bring(poolId, [...codes, 'x', 'fresh 1', 'Taken']));
    expect(all.message).toMatch(
      /rows 5 are not; and .* earlier row; rows 6 are not; and .* yet; rows 2, 4 are not$/,
    );
  }
});

test('the same code may be imported in two programs', async () => {
  const other = await openShop(deps);
  const poolId = (await other.draft(0)).id;
  await bring(await draft(), ['EVERYWHERE']);
  await importCodes(deps, { programId: other.programId, poolId, codes: ['EVERYWHERE'] });
});

test.each<[string, string[], RegExp]>([
  ['nothing', [], /^codes: expected a list of 1 to 5000 codes$/],
  ['too many', Array.from({ length: 5_001 }, (_, i) => `MANY-${i}`), /a list of 1 to 5000/],
  ['too short, empty, too long', ['GOOD', 'A-B', '', 'x'.repeat(65)], /rows 2, 3, 4 are not$/],
  ['a control character', ['GOOD', 'BA\u0007DD'], /rows 2 are not$/],
])('a list with %s is refused, and nothing is written', async (_, codes, message) => {
  const poolId = await draft();
  const error = await mistake(deps.db, () => bring(poolId, codes));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'codes' });
  expect(error.message).toMatch(message);
});

test('of many wrong rows twenty are named, and how many more there are', async () => {
  const codes = Array.from({ length: 50 }, () => 'SAME-CODE');
  const poolId = await draft();
  const error = await mistake(deps.db, () => bring(poolId, codes));
  expect(error.message).toMatch(/rows 2, 3, .*, 21 and 29 more are not$/);
});

test('with one idempotencyKey a list is imported once, and another list is a conflict', async () => {
  const [poolId, key] = [await draft(), unique('key')];
  const first = await bring(poolId, ['ONCE-1', 'ONCE-2'], key);
  expect(await unchanged(deps.db, () => bring(poolId, ['ONCE-1', 'ONCE-2'], key))).toEqual(first);
  const error = await mistake(deps.db, () => bring(poolId, ['ONCE-1', 'ONCE-3'], key));
  expect(error).toMatchObject({ code: 'CONFLICT' });
});

test('of two imports of one list at the same moment one is refused whole', async () => {
  for (let round = 0; round < 5; round++) {
    const [a, b] = [await draft(), await draft()];
    const codes = Array.from({ length: 20 }, (_, i) => `RACE-${round}-${i}`);
    const answers = await Promise.allSettled([bring(a, codes), bring(b, [...codes].reverse())]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const stored = (await shop.count(a, 'AVAILABLE')) + (await shop.count(b, 'AVAILABLE'));
    expect(stored).toBe(20);
  }
});

test('codes are listed a page at a time, of one status if one is asked for', async () => {
  const poolId = await draft();
  await generate(poolId, 7);
  const list = (after?: string | null) =>
    listCodes(deps, { programId, poolId, first: 4, after, status: 'AVAILABLE' });
  const first = await list();
  const rest = await list(first.pageInfo.endCursor);
  const ids = [...first.nodes, ...rest.nodes].map((code) => code.id);
  expect([new Set(ids).size, rest.pageInfo.hasNextPage]).toEqual([7, false]);
  const none = await listCodes(deps, { programId, poolId, first: 4, status: 'REVOKED' });
  expect(none.nodes).toEqual([]);
});

// The last one: each snapshot of the tests above would read them all.
test('five thousand codes are one batch', async () => {
  const poolId = await draft();
  await generate(poolId, 5_000);
  expect(await shop.count(poolId, 'AVAILABLE')).toBe(5_000);
});
