import { expect, test, vi } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import { takeLease } from '../../src/kernel/lease.ts';
import { advanceClock, reconcile, startWorkers } from '../../src/workers/index.ts';
import { dailyTasks } from '../../src/workers/tasks.ts';
import { testDatabase, testDeps } from '../support/database.ts';
import { everythingDue, goLive, type Scene, stateOf } from '../support/everything-due.ts';
import { listening, workProgram } from '../support/fleet.ts';
import { today } from '../support/today.ts';
import { luck, PATIENCE, rounds } from '../support/torture.ts';
import { mistake } from '../support/unchanged.ts';
import { until } from '../support/until.ts';

const databaseUrl = await testDatabase();
const deps = await testDeps({ databaseUrl });
const tasks = dailyTasks.map(({ task }) => task);
const DAY = '2021-03-05';

test('no clock is advanced while somebody is at the daily work', async () => {
  const { programId, start } = await everythingDue(deps, { day: DAY, count: 1 });
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }); // it is not renewed meanwhile
  const lease = await takeLease(deps, { programId, name: 'work' });
  vi.useRealTimers();
  const refused = await mistake(deps.db, () => advanceClock(deps, { programId, to: start }));
  expect(refused).toMatchObject({ code: 'CONFLICT', message: expect.stringMatching('under way') });
  await lease?.release();
  await advanceClock(deps, { programId, to: start });
});

test('an advance waits for what is over in a moment, and turns another one away at once', async () => {
  const { programId, start } = await everythingDue(deps, { day: DAY, count: 1 });
  const lease = await takeLease(deps, { programId, name: 'work' });
  const answer = advanceClock(deps, { programId, to: start });
  await until(() => deps.db.lease.findFirst({ where: { programId, name: 'advance' } }));
  const other = () => advanceClock(deps, { programId, to: start });
  expect(await mistake(deps.db, other)).toMatchObject({
    code: 'CONFLICT',
    message: expect.stringMatching('being advanced'),
  });
  await lease?.release();
  expect((await answer).clock).toEqual(start);
  expect(await deps.db.lease.findMany({ where: { programId } })).toEqual([]);
});

test('who comes while the program is worked on is sent away until the lease runs out', async () => {
  const scene = await everythingDue(deps, { day: DAY, count: 1 });
  const { programId } = scene;
  await goLive(deps, scene);
  const fleet = await startWorkers(deps);
  await fleet.stop();
  await deps.db.$executeRaw`DELETE FROM graphile_worker._private_jobs`;
  const lease = await takeLease(deps, { programId, name: 'work' });
  const heard = listening(deps);
  await workProgram(heard.deps, programId);
  expect(heard.runs).toEqual([]);
  const [job] = await deps.db.$queryRaw<{ key: string; wait: number }[]>`
    SELECT key, extract(epoch FROM run_at - ${deps.clock.now()})::float8 AS wait
    FROM graphile_worker.jobs`;
  expect(job?.key).toBe(`work:${programId}`);
  expect(job?.wait).toBeGreaterThan(10);
  expect(job?.wait).toBeLessThan(21);
  await lease?.release();
});

/** The same process, whose clock jumps an hour ahead after so many looks: its lease is over. */
function stalling(looks: number): Deps {
  let left = looks;
  const now = () => new Date(deps.clock.now().getTime() + (left-- > 0 ? 0 : 3_600_000));
  return { ...deps, clock: { now } };
}

test('an advance that is interrupted anywhere is gone on with by the next', async () => {
  const twin = await everythingDue(deps, { day: DAY, count: 5 });
  await advanceClock(deps, { programId: twin.programId, to: twin.start });
  const expected = await stateOf(deps, twin);
  for (let round = rounds(5, 40); round > 0; round--) {
    const scene = await everythingDue(deps, { day: DAY, count: 5 });
    const { programId, start: to } = scene;
    let interrupted = 0;
    for (let looks = 5; ; looks += 1 + luck(`looks ${round}`).below(3)) {
      const done = await advanceClock(stalling(looks), { programId, to }).catch(() => undefined);
      if (done) break;
      interrupted += 1;
    }
    expect(interrupted).toBeGreaterThan(0);
    expect(await stateOf(deps, scene)).toEqual(expected);
  }
});

test(
  'several processes work on several programs: each task of each day once',
  PATIENCE,
  async () => {
    const day = await today();
    const scenes: Scene[] = [];
    for (let n = 0; n < 3; n++) scenes.push(await everythingDue(deps, { day, count: 20 }));
    for (const scene of scenes) await goLive(deps, scene);
    const listeners = [deps, await testDeps({ databaseUrl }), await testDeps({ databaseUrl })].map(
      listening,
    );
    const fleets = await Promise.all(listeners.map((one) => startWorkers(one.deps)));
    const isDone = async () => {
      const where = { programId: { in: scenes.map(({ programId }) => programId) } };
      const places = await deps.db.programWork.findMany({ where });
      return places.every(({ dueAt }) => dueAt && dueAt > new Date());
    };
    await until(isDone);
    for (const fleet of fleets) await fleet.stop();
    const runs = listeners.flatMap((one) => one.runs);
    for (const { programId } of scenes) {
      const own = runs.filter((run) => run.programId === programId && run.day === day);
      expect(own.map(({ task, changed }) => [task, changed])).toEqual(
        tasks.map((task) => [task, 20]),
      );
      expect((await reconcile(deps, { programId })).differences).toEqual([]);
    }
  },
);
