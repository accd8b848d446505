/** A program with much to do gives its place in the queue up, and goes on when it is its turn. */
import { expect, test } from 'vitest';
import { reconcile, startWorkers } from '../../src/workers/index.ts';
import { testDeps } from '../support/database.ts';
import { everythingDue, goLive, stateOf } from '../support/everything-due.ts';
import { listening, workProgram } from '../support/fleet.ts';
import { poison, slow } from '../support/poison.ts';
import { today } from '../support/today.ts';
import { PATIENCE } from '../support/torture.ts';

const deps = await testDeps();
const MEMBERS = 20;
const EACH_MS = 30;
const SLICE_MS = 500;

const openFailures = (programId: string) =>
  deps.db.workerFailure.findMany({ where: { programId, resolvedAt: null } });

test(
  'in slices the day ends as in one, and who fails is not tried again in each',
  PATIENCE,
  async () => {
    const crowd = { day: await today(), count: MEMBERS };
    const [twin, scene] = [await everythingDue(deps, crowd), await everythingDue(deps, crowd)];
    const fleet = await startWorkers({ ...deps, log: listening(deps).deps.log });
    await fleet.stop();
    for (const one of [twin, scene]) await goLive(deps, one);
    await workProgram(deps, twin.programId);
    const { programId, members } = scene;
    const waiting = async () => {
      const [row] = await deps.db.$queryRaw<{ count: number }[]>`
      SELECT count(*)::int AS count FROM graphile_worker.jobs
      WHERE key = ${`work:${programId}`} AND run_at <= now()`;
      return row?.count;
    };
    const sick = members[3] as string;
    const repair = await poison(deps, { task: 'EXPIRE_POINTS', memberId: sick });
    const restore = await slow(deps, { task: 'EXPIRE_POINTS', milliseconds: EACH_MS });
    let slices = 0;
    for (let isOver = false; !isOver; slices++) {
      await deps.db.$executeRaw`DELETE FROM graphile_worker._private_jobs`;
      await workProgram(deps, programId, SLICE_MS);
      isOver = (await waiting()) === 0;
    }
    expect(slices).toBeGreaterThan(1);
    expect(await openFailures(programId)).toMatchObject([{ memberId: sick, attempts: 1 }]);
    await restore();
    await repair();
    const later = new Date(deps.clock.now().getTime() + 120_000);
    await workProgram({ ...deps, clock: { now: () => later } }, programId);
    expect(await openFailures(programId)).toEqual([]);
    const sound = (states: unknown[]) => states.filter((_, n) => n !== 3);
    expect(sound(await stateOf(deps, scene))).toEqual(sound(await stateOf(deps, twin)));
    expect((await reconcile(deps, { programId })).differences).toEqual([]);
  },
);
