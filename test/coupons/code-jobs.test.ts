import { expect, test } from 'vitest';
import { canonicalForm } from '../../src/coupons/canonical.ts';
import {
  activatePool,
  archivePool,
  cancelCodeJob,
  codeById,
  codeJobById,
  countCodes,
  findCode,
  generateCodes,
  generateCodesJob,
  importCodes,
  listCodes,
  openCodeJobs,
  pausePool,
  resumePool,
  revokeCode,
  revokeCodes,
  runCodeJob,
  statsOfPools,
  updatePool,
} from '../../src/coupons/index.ts';
import { openCode } from '../../src/coupons/vault.ts';
import type { BatchId, CodeId, JobId, PoolId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { poolInput, unique } from '../support/factories.ts';
import { openShop } from '../support/shop.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const shop = await openShop(deps);
const { programId } = shop;

const start = async (poolId: PoolId, count: number, idempotencyKey?: string) =>
  generateCodesJob(deps, { programId, poolId, count, idempotencyKey });
const jobOf = (id: string) => codeJobById(deps, { programId, id });

/** So many batches of fifty codes; all of them unless told otherwise. */
async function run(id: string, batches = Number.POSITIVE_INFINITY): Promise<boolean> {
  let left = batches;
  const mayGoOn = () => left-- > 0;
  return runCodeJob(deps, { programId, jobId: id as JobId, mayGoOn, batchSize: 50 });
}

const statsOf = async (poolId: PoolId) =>
  (await statsOfPools(deps, { programId, ids: [poolId] }))[0];
const listed = async (poolId: PoolId) =>
  (await listCodes(deps, { programId, poolId, first: 200 })).nodes.length;
const stored = (poolId: PoolId) => deps.db.code.count({ where: { programId, poolId } });

test('a job makes exactly the codes that were asked for, in batches, and is sealed', async () => {
  const { id: poolId } = await shop.draft(0);
  const job = await start(poolId, 230);
  expect(job).toMatchObject({ poolId, count: 230, done: 0, status: 'RUNNING' });
  expect(await run(job.id)).toBe(true);
  expect(await jobOf(job.id)).toMatchObject({ done: 230, status: 'SEALED' });
  const codes = await deps.db.code.findMany({ where: { programId, poolId } });
  expect(new Set(codes.map((code) => canonicalForm(openCode(deps, code)))).size).toBe(230);
  const batches = await deps.db.codeBatch.findMany({ where: { programId, jobId: job.id } });
  expect(batches.map(({ count }) => count).sort()).toEqual([30, 50, 50, 50, 50]);
  expect(await unchanged(deps.db, () => run(job.id))).toBe(true);
});

test('nobody is given a code of a job in place of another, and it can be given up', async () => {
  const { id: poolId } = await shop.pool(1);
  const { id: memberId } = await shop.member();
  await shop.claimed(poolId, { memberId });
  await pausePool(deps, { programId, poolId });
  const job = await start(poolId, 110);
  await run(job.id, 1);
  const asked = { programId, poolId, reason: 'x', replace: true, idempotencyKey: unique('key') };
  await expect(revokeCodes(deps, asked)).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(await statsOf(poolId)).toMatchObject({ generated: 1, allocated: 1, revoked: 0 });
  await cancelCodeJob(deps, { programId, jobId: job.id as JobId });
  expect(await stored(poolId)).toBe(1);
  await resumePool(deps, { programId, poolId });
  await expect(revokeCodes(deps, asked)).rejects.toThrow('needs 1 more free code');
});

test('before it is sealed none of its codes is in a list, a count, a look-up or a claim', async () => {
  const { id: poolId } = await shop.draft(3);
  const counted = await countCodes(deps, { programId });
  const job = await start(poolId, 110);
  await run(job.id, 1);
  expect([await stored(poolId), (await jobOf(job.id))?.done]).toEqual([53, 50]);
  expect(await statsOf(poolId)).toMatchObject({ generated: 3, available: 3 });
  expect(await listed(poolId)).toBe(3);
  expect(await countCodes(deps, { programId })).toBe(counted);
  const hidden = await deps.db.code.findFirstOrThrow({
    where: { programId, poolId, batch: { jobId: job.id } },
  });
  expect(await codeById(deps, { programId, id: hidden.id })).toBeNull();
  const code = openCode(deps, hidden);
  expect(await findCode(deps, { programId, code })).toBeNull();
  expect(await shop.refused(() => shop.redeem(code, 'order-1'))).toBe('CODE_UNKNOWN');
  expect(await shop.refused(() => shop.reserve(code, 'order-1'))).toBe('CODE_UNKNOWN');
  const revoke = () =>
    revokeCode(deps, { programId, codeId: hidden.id as CodeId, reason: 'a guess' });
  expect(await mistake(deps.db, revoke)).toMatchObject({ code: 'NOT_FOUND' });
  const many = { programId, reason: 'a guess', replace: false, idempotencyKey: unique('key') };
  const batchId = hidden.batchId as BatchId;
  const revokeBatch = () => revokeCodes(deps, { ...many, batchId });
  expect(await mistake(deps.db, revokeBatch)).toMatchObject({ code: 'NOT_FOUND' });

  await run(job.id);
  expect(await statsOf(poolId)).toMatchObject({ generated: 113, available: 113 });
  expect(await listed(poolId)).toBe(113);
  expect((await findCode(deps, { programId, code }))?.id).toBe(hidden.id);
  expect(await shop.refused(() => shop.redeem(code, 'order-1'))).toBe('CODE_NOT_ALLOCATED');
});

test('a pool with a running job is neither activated nor resumed, and then it is', async () => {
  const { id: draft } = await shop.draft(1);
  const { id: paused } = await shop.pool(1);
  await pausePool(deps, { programId, poolId: paused });
  for (const [poolId, open] of [
    [draft, activatePool],
    [paused, resumePool],
  ] as const) {
    const job = await start(poolId, 10);
    const error = await mistake(deps.db, () => open(deps, { programId, poolId }));
    expect(error).toMatchObject({ code: 'CONFLICT' });
    expect(error.message).toMatch(/wait until it is SEALED/);
    await run(job.id);
    expect((await open(deps, { programId, poolId })).status).toBe('ACTIVE');
    expect((await statsOf(poolId))?.available).toBe(11);
  }
});

test('a pool is revoked without the codes of a job that is not sealed', async () => {
  const { id: poolId } = await shop.draft(3);
  const job = await start(poolId, 110);
  await run(job.id, 2);
  const many = { programId, reason: 'a leak', replace: false, idempotencyKey: unique('key') };
  expect(await revokeCodes(deps, { ...many, poolId })).toMatchObject({ revoked: 3 });
  expect(await statsOf(poolId)).toMatchObject({ generated: 3, available: 0, revoked: 3 });
  await run(job.id);
  expect(await statsOf(poolId)).toMatchObject({ generated: 113, available: 110 });
});

test('a cancelled job leaves nothing behind, and its pool can be used as before', async () => {
  const { id: poolId } = await shop.draft(2, { maxCodes: 120 });
  const job = await start(poolId, 110);
  await run(job.id, 2);
  const cancelled = await cancelCodeJob(deps, { programId, jobId: job.id as JobId });
  expect(cancelled).toMatchObject({ id: job.id, done: 100, status: 'CANCELLED' });
  expect(await stored(poolId)).toBe(2);
  expect(await statsOf(poolId)).toMatchObject({ generated: 2 });
  const again = () => cancelCodeJob(deps, { programId, jobId: job.id as JobId });
  expect(await unchanged(deps.db, again)).toEqual(cancelled);
  expect(await unchanged(deps.db, () => run(job.id))).toBe(true);
  const next = await start(poolId, 118);
  const open = (await openCodeJobs(deps)).map(({ jobId }) => jobId);
  expect([open.includes(job.id as JobId), open.includes(next.id as JobId)]).toEqual([false, true]);
});

test('while codes of a cancelled job are still to be removed, its pool does not issue', async () => {
  const { id: poolId } = await shop.draft(2);
  const job = await start(poolId, 60);
  await run(job.id, 1);
  await deps.db.codeJob.updateMany({ where: { id: job.id }, data: { status: 'CANCELLED' } });
  expect(await statsOf(poolId)).toMatchObject({ generated: 2 });
  const error = await mistake(deps.db, () => activatePool(deps, { programId, poolId }));
  expect(error).toMatchObject({ code: 'CONFLICT' });
  expect(error.message).toMatch(/being removed/);
  const open = (await openCodeJobs(deps)).map(({ jobId }) => jobId);
  expect(open).toContain(job.id);
  expect(await run(job.id)).toBe(true);
  expect(await stored(poolId)).toBe(2);
  expect((await activatePool(deps, { programId, poolId })).status).toBe('ACTIVE');
});

test('a job that is sealed is not cancelled, and one that is not there is not found', async () => {
  const { id: poolId } = await shop.draft(0);
  const job = await start(poolId, 5);
  await run(job.id);
  const cancel = (id: string) => cancelCodeJob(deps, { programId, jobId: id as JobId });
  expect(await mistake(deps.db, () => cancel(job.id))).toMatchObject({ code: 'CONFLICT' });
  expect(await mistake(deps.db, () => cancel(poolId))).toMatchObject({ code: 'NOT_FOUND' });
  const other = await openShop(deps);
  const foreign = { programId: other.programId, id: job.id };
  expect(await codeJobById(deps, foreign)).toBeNull();
  const elsewhere = () => cancelCodeJob(deps, { ...other, jobId: job.id as JobId });
  expect(await mistake(deps.db, elsewhere)).toMatchObject({ code: 'NOT_FOUND' });
});

test('a job whose pool is archived fails, and its codes go', async () => {
  const { id: poolId } = await shop.pool(1);
  await pausePool(deps, { programId, poolId });
  const job = await start(poolId, 60);
  await run(job.id, 1);
  await archivePool(deps, { programId, poolId });
  expect(await run(job.id)).toBe(true);
  expect(await jobOf(job.id)).toMatchObject({ status: 'FAILED' });
  expect(await stored(poolId)).toBe(1);
});

test('maxCodes counts a running job whole, a sealed one once, a cancelled one not at all', async () => {
  const { id: poolId } = await shop.draft(10, { maxCodes: 100 });
  const room = async () => {
    const error = await mistake(deps.db, () =>
      generateCodes(deps, { programId, poolId, count: 101 }),
    );
    return Number(/room for (\d+) more/.exec(error.message)?.[1]);
  };
  expect(await mistake(deps.db, () => start(poolId, 91))).toMatchObject({ code: 'CONFLICT' });
  const job = await start(poolId, 50);
  expect(await room()).toBe(40);
  await run(job.id);
  expect(await room()).toBe(40);
  const next = await start(poolId, 40);
  expect(await room()).toBe(0);
  const input = poolInput({ maxCodes: 99 });
  const lower = () => updatePool(deps, { programId, poolId, input });
  expect(await mistake(deps.db, lower)).toMatchObject({ code: 'BAD_USER_INPUT' });
  await cancelCodeJob(deps, { programId, jobId: next.id as JobId });
  expect(await room()).toBe(40);
});

test('one job of a pool runs at a time; other codes may be added beside it', async () => {
  const { id: poolId } = await shop.draft(0);
  const job = await start(poolId, 60);
  expect(await mistake(deps.db, () => start(poolId, 5))).toMatchObject({ code: 'CONFLICT' });
  await run(job.id, 1);
  await generateCodes(deps, { programId, poolId, count: 4 });
  await importCodes(deps, { programId, poolId, codes: ['BESIDE-A-JOB'] });
  expect(await statsOf(poolId)).toMatchObject({ generated: 5 });
  expect(await listed(poolId)).toBe(5);
  await run(job.id);
  expect((await start(poolId, 5)).status).toBe('RUNNING');
});

test('with one idempotencyKey there is one job, and another payload is a conflict', async () => {
  const [{ id: poolId }, key] = [await shop.draft(0), unique('key')];
  const jobs = await Promise.all(Array.from({ length: 5 }, () => start(poolId, 7, key)));
  expect(new Set(jobs.map(({ id }) => id)).size).toBe(1);
  expect(await mistake(deps.db, () => start(poolId, 8, key))).toMatchObject({ code: 'CONFLICT' });
  await run(jobs[0]?.id as string);
  expect(await start(poolId, 7, key)).toMatchObject({ done: 7, status: 'SEALED' });
});

test.each([0, -1, 5_000_001, 1.5])('a count of %d is bad input', async (count) => {
  const { id: poolId } = await shop.draft(0);
  const error = await mistake(deps.db, () => start(poolId, count));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'count' });
});

test('codes are generated in DRAFT and PAUSED only', async () => {
  const { id: poolId } = await shop.pool(1);
  expect(await mistake(deps.db, () => start(poolId, 5))).toMatchObject({ code: 'CONFLICT' });
  const nowhere = () => start(programId as string as PoolId, 5);
  expect(await mistake(deps.db, nowhere)).toMatchObject({ code: 'NOT_FOUND', field: 'poolId' });
});

test('a prefix that is changed on the way is that of the codes that come after', async () => {
  const { id: poolId } = await shop.draft(0);
  const job = await start(poolId, 100);
  await run(job.id, 1);
  await updatePool(deps, { programId, poolId, input: poolInput({ prefix: 'NEW-' }) });
  await run(job.id);
  const masks = await deps.db.code.groupBy({ by: ['masked'], where: { programId, poolId } });
  const prefixes = new Set(masks.map(({ masked }) => masked.slice(0, 4)));
  expect([...prefixes].sort()).toEqual(['NEW-', 'PCT-']);
});
