/** Jobs that generate codes, at several processes on one database, and killed on the way. */
import { beforeAll, expect, inject, test } from 'vitest';
import {
  activatePool,
  cancelCodeJob,
  codeJobById,
  generateCodesJob,
  runCodeJob,
  statsOfPools,
} from '../../src/coupons/index.ts';
import type { JobId, PoolId, ProgramId } from '../../src/kernel/ids.ts';
import { testKeys } from '../support/database.ts';
import { aPool, aProgram } from '../support/factories.ts';
import { end, launch } from '../support/process.ts';
import { expectSound, overlapping, type Processes, twoProcesses } from '../support/scenes.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { luck, PATIENCE, rounds, torture } from '../support/torture.ts';
import { until as untilTrue } from '../support/until.ts';

let on: Processes;
let programId: ProgramId;
let first: Session;
beforeAll(async () => {
  on = await twoProcesses();
  programId = (await aProgram(on.left)).programId;
  [first] = (await sessions(on.databaseUrl, 1)) as [Session];
});

const draft = async () => (await aPool(on.left, { programId, codes: 1, draft: true })).id;
const start = async (poolId: PoolId, count: number) =>
  (await generateCodesJob(on.left, { programId, poolId, count })).id as JobId;
const jobOf = (id: JobId) => codeJobById(on.left, { programId, id });
const available = async (poolId: PoolId) =>
  (await statsOfPools(on.left, { programId, ids: [poolId] }))[0]?.available;
const stored = (poolId: PoolId) => on.left.db.code.count({ where: { programId, poolId } });

test('begin a job, activate, commit: the pool waits for the job', async () => {
  const poolId = await draft();
  await first.begin();
  await first.query('SELECT lock_pool_shared($1, $2)', [programId, poolId]);
  await first.query(
    `INSERT INTO code_jobs (program_id, id, pool_id, count, status, created_at)
     VALUES ($1, gen_random_uuid(), $2, 5, 'RUNNING', now())`,
    [programId, poolId],
  );
  const error = await overlapping(first, () => activatePool(on.left, { programId, poolId }));
  expect(error).toMatchObject({ code: 'CONFLICT' });
});

test('a job and an activation at the same moment: one of them, never both', async () => {
  for (let round = rounds(5, 100); round > 0; round--) {
    const poolId = await draft();
    const answers = await Promise.allSettled([
      activatePool(on.left, { programId, poolId }),
      generateCodesJob(on.right, { programId, poolId, count: 5 }),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  }
});

test('two processes go on with one job at once: exactly as many codes as were asked for', async () => {
  for (let round = rounds(1, 10); round > 0; round--) {
    const poolId = await draft();
    const jobId = await start(poolId, 1_010);
    const going = { programId, jobId, batchSize: 100, mayGoOn: () => true };
    const runs = await Promise.all([on.left, on.right].map((deps) => runCodeJob(deps, going)));
    expect(runs).toEqual([true, true]);
    expect(await jobOf(jobId)).toMatchObject({ done: 1_010, status: 'SEALED' });
    expect([await stored(poolId), await available(poolId)]).toEqual([1_011, 1_011]);
  }
  await expectSound(on.left, programId);
});

test('a job that is cancelled while it runs leaves nothing, and is never sealed', async () => {
  for (let round = rounds(3, 50); round > 0; round--) {
    const poolId = await draft();
    // More than it could make before it is cancelled, however late that comes.
    const jobId = await start(poolId, 50_000);
    const going = { programId, jobId, batchSize: 100, mayGoOn: () => true };
    const run = runCodeJob(on.left, going);
    const pause = luck(`cancel ${round}`).below(60);
    await new Promise((resolve) => setTimeout(resolve, pause));
    await cancelCodeJob(on.right, { programId, jobId });
    expect(await run).toBe(true);
    expect(await jobOf(jobId)).toMatchObject({ status: 'CANCELLED' });
    expect([await stored(poolId), await available(poolId)]).toEqual([1, 1]);
  }
  await expectSound(on.left, programId);
});

const WORKER = 'a worker';
const startWorker = () => {
  const servers = { DATABASE_URL: on.databaseUrl, REDIS_URL: inject('redisUrl') };
  return launch('src/worker.ts', { env: { ...testKeys, ...servers, PGAPPNAME: WORKER } });
};

/** A killed worker's last transaction may still be committed: until its connections are gone. */
const untilGone = () =>
  untilTrue(async () => {
    const left = await on.left.db.$queryRaw<unknown[]>`
      SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = ${WORKER}`;
    return left.length === 0;
  });

/** Until so many codes are there, or the job has ended. */
async function until(jobId: JobId, done: number): Promise<void> {
  for (;;) {
    const job = await jobOf(jobId);
    if (!job || job.done >= done || job.status !== 'RUNNING') return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test(
  'SIGKILL of the worker in the middle of a job: another makes exactly the rest',
  PATIENCE,
  async () => {
    const poolId = await draft();
    const count = torture ? 1_000_000 : 30_000;
    const jobId = await start(poolId, count);
    const dice = luck('kill a job');
    let killed = 0;
    for (let kill = rounds(1, 10); kill > 0; kill--) {
      const worker = startWorker();
      const { done = 0 } = (await jobOf(jobId)) ?? {};
      await until(jobId, done + 1 + dice.below(count / 10));
      await end(worker, 'SIGKILL');
      await untilGone();
      // It was done before it could be killed, where this process was held up.
      if ((await jobOf(jobId))?.status !== 'RUNNING') break;
      killed += 1;
      // As if the twenty seconds had passed after which a silent holder is taken for dead.
      await on.left.db.lease.deleteMany({ where: { programId } });
      const there = (await jobOf(jobId))?.done as number;
      expect([await stored(poolId), await available(poolId)]).toEqual([there + 1, 1]);
    }
    if (torture) expect(killed).toBeGreaterThan(5);
    const worker = startWorker();
    await until(jobId, count);
    await end(worker, 'SIGTERM');
    expect(await jobOf(jobId)).toMatchObject({ done: count, status: 'SEALED' });
    expect([await stored(poolId), await available(poolId)]).toEqual([count + 1, count + 1]);
    await expectSound(on.left, programId);
  },
);
