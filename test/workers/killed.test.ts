/** Real processes that die by SIGKILL in the middle of each task; the next ones go on. */
import { expect, inject, test } from 'vitest';
import type { WorkerTask } from '../../src/generated/prisma/client.ts';
import { advanceClock, reconcile, runWorker } from '../../src/workers/index.ts';
import { dailyTasks } from '../../src/workers/tasks.ts';
import { type ApiProcess, startApiProcess } from '../support/api-processes.ts';
import { testDeps, testKeys } from '../support/database.ts';
import { everythingDue, goLive, type Scene, stateOf } from '../support/everything-due.ts';
import { aPool, aProgram } from '../support/factories.ts';
import { workProgram } from '../support/fleet.ts';
import { slow } from '../support/poison.ts';
import { end, launch, type Program, waitFor } from '../support/process.ts';
import { type Relay, relayTo } from '../support/relay.ts';
import { sessions } from '../support/sessions.ts';
import { today } from '../support/today.ts';
import { luck, PATIENCE, rounds, torture } from '../support/torture.ts';
import { unchanged } from '../support/unchanged.ts';
import { until } from '../support/until.ts';

const deps = await testDeps();
const tasks = dailyTasks.map(({ task }) => task);
const [PAGE_AND_MORE, MILLISECONDS_EACH] = [420, 2];
/** So many more, that a kill at the end of the pause nearly always comes before the task's end. */
const CROWD = PAGE_AND_MORE + 100;

const placeOf = (programId: string) =>
  deps.db.programWork.findUniqueOrThrow({ where: { programId } });

/** Whether the day is over and done. */
const isDone = async ({ programId, day }: Scene) =>
  (await placeOf(programId)).day.getTime() > Date.parse(day);

/**
 * In the middle of the task, which takes a second or so; then what the dead one held runs out.
 * Answers whether it was in the middle: where all stood still for a while, the task is over.
 */
async function killDuring(task: WorkerTask, of: { scene: Scene; kill(): Promise<unknown> }) {
  const { programId, day } = of.scene;
  const hasDone = async (count: number) => {
    const place = await placeOf(programId);
    return place.day.getTime() > Date.parse(day) || place.step >= count;
  };
  const isHeld = () => deps.db.lease.findFirst({ where: { programId, until: { gt: new Date() } } });
  const step = tasks.indexOf(task);
  await until(async () => (await hasDone(step + 1)) || ((await hasDone(step)) && isHeld()));
  const longest = (PAGE_AND_MORE * MILLISECONDS_EACH) / (torture ? 1 : 2);
  const pause = luck(`kill ${task} ${programId}`).below(longest);
  await new Promise((resolve) => setTimeout(resolve, pause));
  await of.kill();
  const died = !(await hasDone(step + 1));
  await deps.db.lease.updateMany({ where: { programId }, data: { until: new Date(0) } });
  return died;
}

/** In the one kill of `npm test` it may have come too late; among many it has not. */
function expectDeaths(deaths: readonly boolean[]): void {
  if (torture) expect(deaths).toContain(true);
}

/** In `npm test` one of the tasks, in the long form each of them in every round. */
const dyingDuring = (round: number): WorkerTask[] => {
  const some = torture ? tasks : luck(`die ${round}`).shuffled(tasks).slice(0, 1);
  return tasks.filter((task) => some.includes(task));
};

async function asIfUndisturbed(scene: Scene, expected: unknown[]) {
  const { programId } = scene;
  expect(await stateOf(deps, scene)).toEqual(expected);
  expect((await reconcile(deps, { programId })).differences).toEqual([]);
  expect(await deps.db.workerFailure.findMany({ where: { programId } })).toEqual([]);
  await unchanged(deps.db, async () => {
    for (const task of tasks) await runWorker(deps, { programId, task });
  });
}

function startWorker(name = 'worker', databaseUrl = deps.config.databaseUrl): Program {
  const DATABASE_URL = `${databaseUrl}?application_name=${name}`;
  const env = { ...testKeys, DATABASE_URL, REDIS_URL: inject('redisUrl') };
  return launch('src/worker.ts', { env });
}

test(
  'worker processes die in the middle of each task: the day ends as if none had',
  PATIENCE,
  async () => {
    const deaths: boolean[] = [];
    for (let round = rounds(1, 20); round > 0; round--) {
      const crowd = { day: await today(), count: CROWD };
      const twin = await everythingDue(deps, crowd);
      const scene = await everythingDue(deps, crowd);
      for (const one of [twin, scene]) await goLive(deps, one);
      await workProgram(deps, twin.programId);
      const expected = await stateOf(deps, twin);
      for (const task of dyingDuring(round)) {
        const restore = await slow(deps, { task, milliseconds: MILLISECONDS_EACH });
        const worker = startWorker();
        deaths.push(await killDuring(task, { scene, kill: () => end(worker, 'SIGKILL') }));
        await restore();
      }
      const last = startWorker();
      await until(() => isDone(scene));
      expect(await end(last, 'SIGTERM')).toBe(0);
      await asIfUndisturbed(scene, expected);
    }
    expectDeaths(deaths);
  },
);

const ADVANCE = 'mutation ($to: DateTime!) { advanceClock(to: $to) { now } }';

/** Answers when the clock is there, or the process is dead. */
const advanceAt = (api: ApiProcess, scene: Scene) =>
  api.data(scene.secretKey, ADVANCE, { to: scene.start }).catch(() => undefined);

test(
  'API processes die in the middle of an advance: the next call goes on with it',
  PATIENCE,
  async () => {
    const crowd = { day: '2021-03-05', count: CROWD };
    const twin = await everythingDue(deps, crowd);
    await advanceClock(deps, { programId: twin.programId, to: twin.start });
    const expected = await stateOf(deps, twin);
    const deaths: boolean[] = [];
    for (let round = rounds(1, 20); round > 0; round--) {
      const scene = await everythingDue(deps, crowd);
      for (const task of dyingDuring(round)) {
        const restore = await slow(deps, { task, milliseconds: MILLISECONDS_EACH });
        const api = await startApiProcess(deps.config.databaseUrl);
        const answer = advanceAt(api, scene);
        const died = await killDuring(task, { scene, kill: () => api.end('SIGKILL') });
        const answered = await answer;
        if (died) expect(answered).toBeUndefined();
        deaths.push(died);
        await restore();
      }
      const { programId, start: to } = scene;
      expect((await advanceClock(deps, { programId, to })).clock).toEqual(to);
      await asIfUndisturbed(scene, expected);
    }
    expectDeaths(deaths);
  },
);

/** Which of the processes has a sweep under way. */
async function sweeper(): Promise<string | undefined> {
  const [row] = await deps.db.$queryRaw<{ name: string }[]>`
    SELECT application_name AS name FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active'
      AND query LIKE '%expire_points(%' AND pid <> pg_backend_pid()`;
  return row?.name;
}

/** As at the next minute. */
const wake = () =>
  deps.db.$executeRaw`SELECT FROM graphile_worker.add_job('wake_programs', job_key => 'test')`;

/** The database is away while the worker has a job of the queue in hand, and for a second more. */
async function outage(relay: Relay): Promise<void> {
  const [session] = await sessions(deps.config.databaseUrl, 1);
  if (!session) throw new Error('no session');
  await session.query('SET lock_timeout = 0');
  await session.begin();
  await session.query('LOCK TABLE program_work');
  await wake();
  await session.isWaitedFor();
  relay.cut();
  await session.close();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  relay.mend();
}

test('one of two workers dies at work: the other goes on within a minute', PATIENCE, async () => {
  for (let round = rounds(1, 3); round > 0; round--) {
    const scene = await everythingDue(deps, { day: await today(), count: CROWD });
    await goLive(deps, scene);
    const task = 'EXPIRE_POINTS';
    const restore = await slow(deps, { task, milliseconds: MILLISECONDS_EACH });
    const workers = { left: startWorker('left'), right: startWorker('right') };
    let sweeping: string | undefined;
    await until(async () => {
      sweeping = await sweeper();
      return sweeping;
    });
    const dead = sweeping as 'left' | 'right';
    await end(workers[dead], 'SIGKILL');
    const began = performance.now();
    await restore();
    if (!torture) await hurry(scene);
    await until(() => isDone(scene), 90);
    expect(performance.now() - began).toBeLessThan(60_000);
    await end(workers[dead === 'left' ? 'right' : 'left'], 'SIGTERM');
  }
});

test(
  'the database goes away while a worker has a job in hand: it waits, and goes on',
  PATIENCE,
  async () => {
    const relay = await relayTo(deps.config.databaseUrl);
    for (let round = rounds(1, 5); round > 0; round--) {
      const scene = await everythingDue(deps, { day: await today(), count: 1 });
      const worker = startWorker('alone', relay.url);
      await waitFor(worker, /the worker is up/);
      await outage(relay);
      await goLive(deps, scene);
      await until(async () => {
        if (!torture) await wake();
        return isDone(scene);
      }, 150);
      expect(await end(worker, 'SIGTERM')).toBe(0);
    }
  },
);

/** Whether a worker is storing codes that it has minted. */
async function minting(): Promise<boolean> {
  const [row] = await deps.db.$queryRaw<{ minting: boolean }[]>`
    SELECT EXISTS (SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'minter'
        AND wait_event = 'PgSleep') AS minting`;
  return row?.minting === true;
}

const MINTED = 500;

/** As at the next minute; the first worker of all makes the queue. */
const wakeForPools = () =>
  until(() =>
    deps.db.$executeRaw`SELECT FROM graphile_worker.add_job('top_up_pools')`.then(
      () => true,
      () => false,
    ),
  );

test(
  'a worker dies while it tops pools up: each gets its batch, whole and once',
  PATIENCE,
  async () => {
    const { programId } = await aProgram(deps);
    const input = { exhaustion: 'TOP_UP', maxCodes: 2 * MINTED } as const;
    for (let round = rounds(1, 20); round > 0; round--) {
      const pools = [
        await aPool(deps, { programId, codes: 0, input }),
        await aPool(deps, { programId, codes: 0, input }),
      ];
      const restore = await slow(deps, { task: 'TOP_UP_POOLS', milliseconds: MILLISECONDS_EACH });
      const worker = startWorker('minter');
      await wakeForPools();
      await until(minting);
      const pause = luck(`mint ${round}`).below(2 * MINTED * MILLISECONDS_EACH);
      await new Promise((resolve) => setTimeout(resolve, pause));
      await end(worker, 'SIGKILL');
      await restore();
      const of = { programId, poolId: { in: pools.map(({ id }) => id) } };
      expect((await deps.db.code.count({ where: of })) % MINTED).toBe(0);
      const next = startWorker();
      await wakeForPools();
      await until(async () => (await deps.db.codeBatch.count({ where: of })) === pools.length);
      expect(await end(next, 'SIGTERM')).toBe(0);
      await runWorker(deps, { programId, task: 'TOP_UP_POOLS' });
      const codes = await deps.db.code.groupBy({ by: ['batchId'], where: of, _count: true });
      expect(codes.map(({ _count }) => _count)).toEqual([MINTED, MINTED]);
    }
    expect((await reconcile(deps, { programId })).differences).toEqual([]);
  },
);

/** As if it had been silent for a while already, and the next minute began. */
async function hurry({ programId }: Scene): Promise<void> {
  const soon = new Date(Date.now() + 3_000);
  await deps.db.lease.updateMany({ where: { programId }, data: { until: soon } });
  await wake();
}
