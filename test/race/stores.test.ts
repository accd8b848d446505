import { beforeAll, expect, test } from 'vitest';
import { generateCodes, importCodes } from '../../src/coupons/index.ts';
import type { PoolId, ProgramId } from '../../src/kernel/ids.ts';
import { aPool, aProgram, unique } from '../support/factories.ts';
import {
  deadlocks,
  expectSound,
  overlapping,
  type Processes,
  passing,
  twoProcesses,
} from '../support/scenes.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { rounds } from '../support/torture.ts';

let on: Processes;
let programId: ProgramId;
let session: Session;
beforeAll(async () => {
  on = await twoProcesses();
  programId = (await aProgram(on.left)).programId;
  [session] = (await sessions(on.databaseUrl, 1)) as [Session];
});

async function drafts(count: number): Promise<PoolId[]> {
  const pools = [];
  for (let i = 0; i < count; i++)
    pools.push((await aPool(on.left, { programId, codes: 0, draft: true })).id);
  return pools;
}

const texts = (count: number, name: string) =>
  Array.from({ length: count }, (_, i) => `${name}-${String(i).padStart(6, '0')}`);

test('a batch waits for the one before it, and then counts what that one made', async () => {
  // In a program of its own: the batch that comes first is one without codes.
  const { programId: elsewhere } = await aProgram(on.left);
  const of = { codes: 0, draft: true, input: { maxCodes: 100 } };
  const { id: poolId } = await aPool(on.left, { programId: elsewhere, ...of });
  await session.begin();
  await session.query('SELECT lock_code_space($1)', [elsewhere]);
  await session.query(
    `INSERT INTO code_batches (program_id, id, pool_id, count, created_at)
     VALUES ($1, gen_random_uuid(), $2, 80, now())`,
    [elsewhere, poolId],
  );
  const second = overlapping(session, () =>
    generateCodes(on.left, { programId: elsewhere, poolId, count: 80 }),
  );
  expect(await second).toMatchObject({ code: 'CONFLICT' });
});

test('ten batches at once in a pool that may have 500 codes: never a code more', async () => {
  for (let round = rounds(3, 40); round > 0; round--) {
    const { id: poolId } = await aPool(on.left, {
      programId,
      codes: 0,
      draft: true,
      input: { maxCodes: 500 },
    });
    const settled = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) =>
        generateCodes(on.either(i), { programId, poolId, count: 120 }),
      ),
    );
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
    expect(await on.left.db.code.count({ where: { programId, poolId } })).toBe(480);
  }
  await expectSound(on.left, programId);
});

test('lists that overlap, imported at once in opposite orders: one of them, and no deadlock', async () => {
  const before = await deadlocks(on.left);
  await passing(on.left, async (either) => {
    for (let round = rounds(3, 20); round > 0; round--) {
      const list = texts(1_000, unique('LIST'));
      const pools = await drafts(4);
      const settled = await Promise.allSettled(
        pools.map((poolId, i) => {
          const codes = i % 2 === 0 ? list : list.toReversed();
          return importCodes(either(i), { programId, poolId, codes });
        }),
      );
      expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const { reason } of settled.filter((one) => one.status === 'rejected'))
        expect(reason).toMatchObject({ code: 'BAD_USER_INPUT', field: 'codes' });
    }
  });
  await expectSound(on.left, programId);
  expect((await deadlocks(on.left)) - before).toBe(0);
});

test('lists that overlap in part: each code once, and a refusal names the rows', async () => {
  const name = unique('PART');
  const [left, right] = [texts(600, name), texts(1_200, name).slice(500)];
  const [here, there] = (await drafts(2)) as [PoolId, PoolId];
  const settled = await Promise.allSettled([
    importCodes(on.left, { programId, poolId: here, codes: left }),
    importCodes(on.right, { programId, poolId: there, codes: right }),
  ]);
  const refused = settled.filter((one) => one.status === 'rejected');
  expect(refused).toHaveLength(1);
  expect(refused[0]?.reason.message).toMatch(/rows (1|501), (2|502), .* and 80 more/);
  await expectSound(on.left, programId);
});

test('the same idempotencyKey ten times at once: one batch', async () => {
  for (let round = rounds(5, 40); round > 0; round--) {
    const [poolId] = (await drafts(1)) as [PoolId];
    const idempotencyKey = unique('key');
    const batches = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        generateCodes(on.either(i), { programId, poolId, count: 20, idempotencyKey }),
      ),
    );
    expect(new Set(batches.map(({ id }) => id)).size).toBe(1);
    expect(await on.left.db.code.count({ where: { programId, poolId } })).toBe(20);
  }
});
