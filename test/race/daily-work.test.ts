/** The tasks of the daily work, in two processes at the same moment. */
import { expect, test } from 'vitest';
import { advanceClock as moveClock } from '../../src/programs/index.ts';
import { advanceClock, reconcile, runWorker } from '../../src/workers/index.ts';
import { dailyTasks } from '../../src/workers/tasks.ts';
import { everythingDue, goLive, stateOf } from '../support/everything-due.ts';
import { workProgram } from '../support/fleet.ts';
import { localDays } from '../support/local-days.ts';
import { overlapping, twoProcesses } from '../support/scenes.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { today } from '../support/today.ts';
import { PATIENCE, rounds } from '../support/torture.ts';

const on = await twoProcesses();
/** Tasks that are done at once come in no order of their own. */
const whatever = (states: unknown[]) =>
  (states as { lots: unknown[]; journal: unknown; events: unknown[] }[]).map(
    ({ lots, journal: _, events, ...rest }) => ({
      ...rest,
      lots: lots.map(String).sort(),
      events: events.map((event) => JSON.stringify(event)).sort(),
    }),
  );
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

test(
  'the fleet and every task by hand at once, for days that were missed: each thing once',
  PATIENCE,
  async () => {
    for (let round = rounds(1, 30); round > 0; round--) {
      const missed = { day: localDays('UTC').plusDays(await today(), -2), count: 30 };
      const twin = await everythingDue(on.left, missed);
      const scene = await everythingDue(on.left, missed);
      const { programId } = scene;
      for (const one of [twin, scene]) await goLive(on.left, one);
      await workProgram(on.left, twin.programId);
      const expected = await stateOf(on.left, twin);
      const fleet = workProgram(on.left, programId);
      const tasks = dailyTasks.map(({ task }) => runWorker(on.right, { programId, task }));
      const [, ...runs] = await Promise.all([fleet, ...tasks]);
      expect(runs.map(({ failed }) => failed)).toEqual(dailyTasks.map(() => 0));
      expect(whatever(await stateOf(on.left, scene))).toEqual(whatever(expected));
      expect((await reconcile(on.left, { programId })).differences).toEqual([]);
    }
  },
);

test('a failure is recorded, the work of the program ends, commit: it is tried again', async () => {
  const { programId } = await everythingDue(on.left, { ...CROWD, count: 1 });
  const [first, second] = (await sessions(on.databaseUrl, 2)) as [Session, Session];
  const next = new Date('2031-01-01T00:00:00Z');
  await first.begin();
  await first.query(
    `INSERT INTO worker_failures (program_id, task, day, message, attempts, next_attempt_at)
     VALUES ($1, 'TOP_UP_POOLS', '2021-03-05', 'sick', 1, $2)`,
    [programId, next],
  );
  await first.query('UPDATE program_work SET due_at = least(due_at, $2) WHERE program_id = $1', [
    programId,
    next,
  ]);
  await overlapping(first, () => second.query('SELECT set_next_due($1)', [programId]));
  const work = await on.left.db.programWork.findUniqueOrThrow({ where: { programId } });
  expect(work.dueAt).toEqual(next);
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
