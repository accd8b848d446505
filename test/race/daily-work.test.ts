/** The tasks of the daily work, in two processes at the same moment. */
import { expect, test } from 'vitest';
import { advanceClock as moveClock } from '../../src/programs/index.ts';
import { advanceClock, reconcile, runWorker } from '../../src/workers/index.ts';
import { dailyTasks } from '../../src/workers/tasks.ts';
import { everythingDue, stateOf } from '../support/everything-due.ts';
import { twoProcesses } from '../support/scenes.ts';
import { rounds } from '../support/torture.ts';

const on = await twoProcesses();
const CROWD = { day: '2021-03-05', count: 60 };

test('each task in two processes at once: done once for each member, and nobody fails', async () => {
  const twin = await everythingDue(on.left, CROWD);
  await advanceClock(on.left, { programId: twin.programId, to: twin.start });
  const expected = await stateOf(on.left, twin);
  for (let round = rounds(2, 30); round > 0; round--) {
    const scene = await everythingDue(on.left, CROWD);
    const { programId } = scene;
    await moveClock(on.left, { programId, to: scene.start });
    for (const { task } of dailyTasks) {
      const asked = [on.left, on.right].map((deps) => runWorker(deps, { programId, task }));
      const runs = await Promise.all(asked);
      const sum = (of: 'changed' | 'failed') => runs.reduce((total, run) => total + run[of], 0);
      expect([task, sum('changed'), sum('failed')]).toEqual([task, CROWD.count, 0]);
    }
    expect(await stateOf(on.left, scene)).toEqual(expected);
    expect((await reconcile(on.left, { programId })).differences).toEqual([]);
  }
});

test('a clock that two processes advance at once: one of them does, or both in turn', async () => {
  for (let round = rounds(3, 30); round > 0; round--) {
    const scene = await everythingDue(on.left, { ...CROWD, count: 5 });
    const { programId, start: to } = scene;
    const both = [on.left, on.right].map((deps) => advanceClock(deps, { programId, to }));
    const answers = await Promise.allSettled(both);
    for (const answer of answers)
      if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'CONFLICT' });
    expect(answers.some(({ status }) => status === 'fulfilled')).toBe(true);
    const { clock } = await on.left.db.program.findUniqueOrThrow({ where: { id: programId } });
    expect(clock).toEqual(to);
    expect((await reconcile(on.left, { programId })).differences).toEqual([]);
  }
});
