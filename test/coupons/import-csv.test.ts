import { expect, test } from 'vitest';
import { generateCodes, importCodes, importCsv } from '../../src/coupons/index.ts';
import { openCode } from '../../src/coupons/vault.ts';
import type { PoolId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { openShop } from '../support/shop.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const shop = await openShop(deps);
const { programId } = shop;

const draft = async (maxCodes?: number) => (await shop.draft(0, { maxCodes })).id;
const bring = (poolId: PoolId, csv: string, idempotencyKey?: string) =>
  importCsv(deps, { programId, poolId, csv, dryRun: false, idempotencyKey });
const check = (poolId: PoolId, csv: string) =>
  unchanged(deps.db, () => importCsv(deps, { programId, poolId, csv, dryRun: true }));
const textsOf = async (poolId: PoolId) =>
  (await deps.db.code.findMany({ where: { programId, poolId } }))
    .map((code) => openCode(deps, code))
    .sort();

test('codes are taken from the column called code, wherever it stands', async () => {
  const poolId = await draft();
  const csv = 'issued;Code ;note\r\n2020;SPRING-1;"a; b"\r\n;SPRING-2;\r\n';
  const report = await bring(poolId, csv);
  expect(report).toMatchObject({ rows: 2, conflicts: [], batch: { poolId, count: 2 } });
  expect(await textsOf(poolId)).toEqual(['SPRING-1', 'SPRING-2']);
});

test('without headings they stand in the first column', async () => {
  const poolId = await draft();
  expect(await bring(poolId, ' AUTUMN-1 ,x\n"AUTUMN,2",y\n\n')).toMatchObject({ rows: 2 });
  expect(await textsOf(poolId)).toEqual(['AUTUMN,2', 'AUTUMN-1']);
});

test('a dry run names every row in conflict by its place in the file, and writes nothing', async () => {
  const [poolId, other] = [await draft(), await draft()];
  await importCodes(deps, { programId, poolId: other, codes: ['TAKEN-1'] });
  await generateCodes(deps, { programId, poolId: other, count: 1 });
  const made = (await textsOf(other)).find((text) => text !== 'TAKEN-1') as string;
  const rows = ['code', 'FRESH-1', 'fresh 1', 'x', 'taken-1', '', made.toLowerCase(), 'FRESHI'];
  const csv = rows.join('\n');
  const conflicts = [
    { row: 3, problem: 'REPEATED', sameAs: 2 },
    { row: 4, problem: 'MALFORMED' },
    { row: 5, problem: 'TAKEN' },
    { row: 7, problem: 'TAKEN' },
    { row: 8, problem: 'REPEATED', sameAs: 2 },
  ];
  const expected = { rows: 6, conflicts, batch: undefined };
  expect(await check(poolId, csv)).toEqual(expected);
  expect(await unchanged(deps.db, () => bring(poolId, csv))).toEqual(expected);
  const clean = 'code\nFRESH-1\n';
  expect(await check(poolId, clean)).toEqual({ rows: 1, conflicts: [], batch: undefined });
  expect((await bring(poolId, clean)).batch).toMatchObject({ count: 1 });
});

test('a code that somebody adds between the dry run and the import is named by the import', async () => {
  const [poolId, other] = [await draft(), await draft()];
  const csv = 'LATE-1\nLATE-2\nLATE-3\n';
  expect((await check(poolId, csv)).conflicts).toEqual([]);
  await importCodes(deps, { programId, poolId: other, codes: ['late 2'] });
  const conflicts = [{ row: 2, problem: 'TAKEN' }];
  expect(await unchanged(deps.db, () => bring(poolId, csv))).toMatchObject({ conflicts });
});

test('with one idempotencyKey a file is imported once, and another file is a conflict', async () => {
  const [poolId, key] = [await draft(), unique('key')];
  const first = await bring(poolId, 'ONE-FILE-1\nONE-FILE-2', key);
  const again = () => bring(poolId, 'code\none file 1\none file 2\n', key);
  expect(await unchanged(deps.db, again)).toEqual(first);
  const other = () => bring(poolId, 'ONE-FILE-3', key);
  expect(await mistake(deps.db, other)).toMatchObject({ code: 'CONFLICT' });
});

test.each<[string, string, RegExp]>([
  ['without a code', 'code\n\n', /1 to 5000 records with a code$/],
  ['with too many', Array.from({ length: 5_001 }, (_, i) => `MANY-${i}`).join('\n'), /1 to 5000/],
  ['that is no CSV', 'GOOD-1\n"GOOD-2', /^csv: expected CSV; record 2 is not$/],
])('a file %s is bad input', async (_, csv, message) => {
  const poolId = await draft();
  for (const go of [() => bring(poolId, csv), () => check(poolId, csv)]) {
    const error = await mistake(deps.db, go);
    expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'csv' });
    expect(error.message).toMatch(message);
  }
});

test('a dry run says no as well where the pool takes no codes, or not so many', async () => {
  const { id: active } = await shop.pool(1);
  const small = await draft(1);
  for (const poolId of [active, small])
    for (const go of [() => bring(poolId, 'ROOM-1\nROOM-2'), () => check(poolId, 'ROOM-1\nROOM-2')])
      expect(await mistake(deps.db, go)).toMatchObject({ code: 'CONFLICT' });
});
