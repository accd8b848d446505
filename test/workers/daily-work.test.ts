import { expect, test } from 'vitest';
import type { WorkerTask } from '../../src/generated/prisma/client.ts';
import { advanceClock, reconcile, runWorker } from '../../src/workers/index.ts';
import { dailyTasks } from '../../src/workers/tasks.ts';
import { testDeps } from '../support/database.ts';
import { everythingDue, stateOf } from '../support/everything-due.ts';
import { poison } from '../support/poison.ts';
import { torture } from '../support/torture.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const tasks = dailyTasks.map(({ task }) => task);
const DAY = '2021-03-05';
/** More than a page. */
const MEMBERS = torture ? 10_000 : 450;

const counts = ({ changed, failed }: { changed: number; failed: number }) => [changed, failed];

test('for every task, one of many fails: the others are done, and it is once repaired', async () => {
  const scene = await everythingDue(deps, { day: DAY, count: MEMBERS });
  const { programId, members, start } = scene;
  const places = tasks.map((_, n) => 7 + 100 * n); // on the first page, and on the second
  const sick = new Map(tasks.map((task, n) => [task, members[places[n] as number] as string]));
  const repairs = new Map<WorkerTask, () => Promise<void>>();
  for (const [task, memberId] of sick) repairs.set(task, await poison(deps, { task, memberId }));
  await advanceClock(deps, { programId, to: start });
  for (const [task, memberId] of sick) {
    const failures = await deps.db.workerFailure.findMany({ where: { programId, task } });
    const message = 'database error 23514';
    expect(failures).toMatchObject([
      { memberId, day: new Date(DAY), message, attempts: 1, resolvedAt: null },
    ]);
    expect(counts(await runWorker(deps, { programId, task }))).toEqual([0, 1]);
    await repairs.get(task)?.();
    expect(counts(await runWorker(deps, { programId, task }))).toEqual([1, 0]);
    const [repaired] = await deps.db.workerFailure.findMany({ where: { programId, task } });
    expect(repaired).toMatchObject({ attempts: 2, resolvedAt: expect.any(Date) });
  }
  const twin = await everythingDue(deps, { day: DAY, count: 1 });
  await advanceClock(deps, { programId: twin.programId, to: start });
  const [one] = await stateOf(deps, twin);
  // The order in which the tasks of the others were done in the end is another.
  const sound = (await stateOf(deps, scene)).filter((_, n) => !places.includes(n));
  expect(new Set(sound.map((state) => JSON.stringify(state)))).toEqual(
    new Set([JSON.stringify(one)]),
  );
  for (const { programId: id } of [scene, twin])
    expect((await reconcile(deps, { programId: id })).differences).toEqual([]);
});

test('every task, twice for the same day: the second run changes nothing at all', async () => {
  const { programId, start } = await everythingDue(deps, { day: DAY, count: 20 });
  await advanceClock(deps, { programId, to: start });
  const again = await unchanged(deps.db, async () => {
    await advanceClock(deps, { programId, to: start });
    const runs = [];
    for (const task of tasks) runs.push(await runWorker(deps, { programId, task }));
    return runs;
  });
  expect(again.map(({ task, ...run }) => [task, ...counts(run)])).toEqual(
    tasks.map((task) => [task, 0, 0]),
  );
});

test('every task by hand does what the day would have done', async () => {
  const scene = await everythingDue(deps, { day: DAY, count: 20 });
  const twin = await everythingDue(deps, { day: DAY, count: 20 });
  const { programId, start } = scene;
  const { advanceClock: moveClock } = await import('../../src/programs/index.ts');
  await moveClock(deps, { programId, to: start });
  for (const task of tasks)
    expect(await runWorker(deps, { programId, task })).toMatchObject({ scanned: 20, changed: 20 });
  await unchanged(deps.db, async () => {
    for (const task of tasks) await runWorker(deps, { programId, task });
  });
  await advanceClock(deps, { programId: twin.programId, to: start });
  expect(await stateOf(deps, scene)).toEqual(await stateOf(deps, twin));
});
