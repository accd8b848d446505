import { expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import type { WorkerFailure } from '../../src/generated/prisma/client.ts';
import { advanceClock as moveClock } from '../../src/programs/index.ts';
import { recordFailure, resolveFailure } from '../../src/workers/failures.ts';
import { advanceClock, runWorker } from '../../src/workers/index.ts';
import { jobs } from '../../src/workers/jobs.ts';
import { startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { everythingDue, nextDay } from '../support/everything-due.ts';
import { aPool } from '../support/factories.ts';
import { listening, workProgram } from '../support/fleet.ts';
import { DAY, NOON, openLedger } from '../support/ledger.ts';
import { poison } from '../support/poison.ts';
import { sessions } from '../support/sessions.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const { signal } = new AbortController();
const MINUTE = 60_000;
const later = (days: number) => new Date(NOON.getTime() + days * DAY);
/** The same process, so many minutes from now. */
const inMinutes = (minutes: number): Deps => ({
  ...deps,
  clock: { now: () => new Date(deps.clock.now().getTime() + minutes * MINUTE) },
});
/** The same process, at this moment. */
const at = (time: number): Deps => ({ ...deps, clock: { now: () => new Date(time) } });
const open = (programId: string) =>
  deps.db.workerFailure.findMany({ where: { programId, resolvedAt: null } });
const dueAt = async (programId: string) =>
  (await deps.db.programWork.findUniqueOrThrow({ where: { programId } })).dueAt;

/** Two members whose points end on 2 February, and one of them cannot be written to. */
async function oneSick() {
  const own = await openLedger(deps, { settings: { expiryMonths: 1 } });
  const [sick, well] = [await own.member(), await own.member()];
  for (const member of [sick, well]) await own.lot(member, 100);
  const repair = await poison(deps, { task: 'EXPIRE_POINTS', memberId: sick });
  return { own, sick, well, repair, programId: own.programId };
}

test('a member who fails on one day is tried on every later one, and caught up', async () => {
  const { own, sick, well, repair, programId } = await oneSick();
  await advanceClock(deps, { programId, to: later(35) });
  expect(await own.points(well)).toEqual([0, 0, 0, 0]);
  expect(await own.points(sick)).toEqual([0, 0, 0, 100]);
  expect(await open(programId)).toMatchObject([{ day: new Date('2021-02-02'), attempts: 4 }]);
  await repair();
  await advanceClock(deps, { programId, to: later(36) });
  expect(await own.points(sick)).toEqual([0, 0, 0, 0]);
  expect(await open(programId)).toEqual([]);
  expect(await own.differences()).toEqual([]);
});

test('whoever was caught up stays open when a later day has failed meanwhile', async () => {
  const { programId, repair, sick } = await oneSick();
  await advanceClock(deps, { programId, to: later(32) });
  const [read] = (await open(programId)) as [WorkerFailure];
  const again = { programId, task: 'EXPIRE_POINTS', memberId: sick, error: new Error() } as const;
  await recordFailure(deps, { ...again, day: '2021-02-05' });
  await resolveFailure(deps, read);
  const [left] = (await open(programId)) as [WorkerFailure];
  expect(left).toMatchObject({ id: read.id, day: new Date('2021-02-05'), attempts: 2 });
  await resolveFailure(deps, left);
  expect(await open(programId)).toEqual([]);
  await repair();
});

test('the fleet tries again after one minute, two, four, and no sooner', async () => {
  const { programId, repair, own, sick } = await oneSick();
  expect(await dueAt(programId)).toBeNull();
  const began = Date.now();
  await advanceClock(deps, { programId, to: later(32) });
  const next = async () => (await open(programId))[0]?.nextAttemptAt.getTime() ?? 0;
  expect(await next()).toBeGreaterThanOrEqual(began + MINUTE);
  expect(await next()).toBeLessThanOrEqual(Date.now() + MINUTE);
  expect(await dueAt(programId)).toEqual(new Date(await next()));
  for (const [attempts, minutes] of [
    [1, 2],
    [2, 4],
    [3, 8],
  ] as const) {
    const due = await next();
    await workProgram(at(due - 1), programId);
    expect(await open(programId)).toMatchObject([{ attempts }]);
    await workProgram(at(due), programId);
    expect(await open(programId)).toMatchObject([{ attempts: attempts + 1 }]);
    expect(await next()).toBe(due + minutes * MINUTE);
  }
  await repair();
  await workProgram(at(await next()), programId);
  expect(await open(programId)).toEqual([]);
  expect(await dueAt(programId)).toBeNull();
  expect(await own.points(sick)).toEqual([0, 0, 0, 0]);
});

test('a bonus that failed a year ago is given when its member is repaired, and this year’s too', async () => {
  const { programId, members, start, day } = await everythingDue(deps, {
    day: '2021-03-05',
    count: 2,
  });
  const sick = members[0] as string;
  const repair = await poison(deps, { task: 'BIRTHDAY_BONUS', memberId: sick });
  await advanceClock(deps, { programId, to: start });
  await moveClock(deps, { programId, to: new Date(start.getTime() + 365 * DAY) });
  await nextDay(deps, { programId, day: '2022-03-05' });
  await advanceClock(deps, { programId, to: new Date(start.getTime() + 366 * DAY) });
  expect(await open(programId)).toMatchObject([{ day: new Date(day), memberId: sick }]);
  await repair();
  expect(await runWorker(deps, { programId, task: 'BIRTHDAY_BONUS' })).toMatchObject({
    changed: 1,
    failed: 0,
  });
  const lots = await deps.db.ledgerBatch.findMany({ where: { programId, source: 'BIRTHDAY' } });
  expect(lots.map(({ memberId, occasion }) => `${memberId} ${occasion}`).sort()).toEqual(
    members.flatMap((id) => [`${id} 2021`, `${id} 2022`]).sort(),
  );
});

test('merchants see who failed, on which day and why, without a value', async () => {
  const { own, sick } = await oneSick();
  const api = await startApi(deps);
  const ask = (document: string) => api.data(own.secretKey, document);
  await own.tick(later(32));
  const FIELDS = 'id task day memberId message attempts resolvedAt';
  const failure = {
    task: 'EXPIRE_POINTS',
    day: '2021-02-02',
    memberId: sick,
    message: 'database error 23514',
    attempts: 1,
    resolvedAt: null,
  };
  const RUN = `runWorker(task: EXPIRE_POINTS) {
    task scanned changed failed failures { ${FIELDS} } }`;
  const { runWorker: run } = await ask(`mutation { ${RUN} }`);
  const counts = { task: 'EXPIRE_POINTS', scanned: 2, changed: 1, failed: 1 };
  expect(run).toMatchObject({ ...counts, failures: [failure] });
  const of = (task: string) =>
    ask(`{ workerFailures(task: ${task}) { nodes { ${FIELDS} } pageInfo { hasNextPage } } }`);
  expect((await of('EXPIRE_POINTS')).workerFailures.nodes).toEqual(run.failures);
  expect((await of('BIRTHDAY_BONUS')).workerFailures.nodes).toEqual([]);
  const { workerFailures } = await ask('{ workerFailures(first: 1) { pageInfo { endCursor } } }');
  const next = `{ workerFailures(after: "${workerFailures.pageInfo.endCursor}") { nodes { id } } }`;
  expect((await ask(next)).workerFailures.nodes).toEqual([]);
});

test('one of three pools cannot be topped up: the others are, and it is by the next run', async () => {
  const own = await openLedger(deps);
  const { programId } = own;
  const input = { exhaustion: 'TOP_UP', maxCodes: 1_000 } as const;
  const pools = [];
  for (let n = 0; n < 3; n++) pools.push(await aPool(deps, { programId, codes: 0, input }));
  const [holder] = await sessions(deps.config.databaseUrl, 1);
  await holder?.begin();
  await holder?.query('SELECT lock_pool($1, $2)', [programId, pools[1]?.id]);
  const task = 'TOP_UP_POOLS';
  const failed = await runWorker(deps, { programId, task });
  expect(failed).toMatchObject({ scanned: 3, changed: 2, failed: 1 });
  expect(failed.failures).toMatchObject([
    { memberId: null, message: 'the database is busy: ask again' },
  ]);
  await holder?.rollback();
  expect(await runWorker(deps, { programId, task })).toMatchObject({ changed: 1, failed: 0 });
  expect(await open(programId)).toEqual([]);
  const made = await deps.db.code.groupBy({ by: ['poolId'], where: { programId }, _count: true });
  expect(made.map(({ _count }) => _count)).toEqual([500, 500, 500]);
});

test('the fleet leaves a pool that failed alone until its next attempt, and the others of the day', async () => {
  const task = 'TOP_UP_POOLS';
  const input = { exhaustion: 'TOP_UP', maxCodes: 1_000 } as const;
  const [{ programId }, other] = [await openLedger(deps), await openLedger(deps)];
  for (const own of [{ programId }, other])
    await aPool(deps, { programId: own.programId, codes: 0, input });
  const failed = { programId, task, day: '2021-01-01', memberId: null, error: new Error('sick') };
  await recordFailure(deps, failed as never);
  const topUp = (by: Deps) => jobs.top_up_pools?.run(by, { programId: undefined, signal });
  const made = (id: string) => deps.db.code.count({ where: { programId: id } });
  await topUp(deps);
  expect([await made(programId), await made(other.programId)]).toEqual([0, 500]);
  await topUp(inMinutes(1.1));
  expect([await made(programId), await made(other.programId)]).toEqual([500, 500]);
  expect(await open(programId)).toEqual([]);
  const again = await unchanged(deps.db, () => runWorker(deps, { programId, task }));
  expect(again).toMatchObject({ scanned: 0, changed: 0, failed: 0 });
});

test('the log says who failed by id, and nothing personal', async () => {
  const { own, sick, programId } = await oneSick();
  await own.tick(later(32));
  const heard = listening(deps);
  await runWorker(heard.deps, { programId, task: 'EXPIRE_POINTS' });
  expect(heard.runs).toMatchObject([
    { programId, day: '2021-02-02', scanned: 2, changed: 1, failed: 1, members: [sick] },
  ]);
  expect(heard.text()).not.toContain('example.com');
});

test.each([
  ['what is nobody’s in particular is tried every four minutes at least', null, [1, 2, 4, 4, 4]],
  ['a member is left alone for ever longer', 'member', [1, 2, 4, 8, 16]],
])('%s', async (_, who, minutes) => {
  const own = await openLedger(deps);
  const memberId = who && (await own.member());
  const of = { programId: own.programId, task: 'TOP_UP_POOLS', day: '2021-01-01' } as const;
  for (const pause of minutes) {
    const before = deps.clock.now().getTime();
    const failure = await recordFailure(deps, { ...of, memberId, error: new Error('x') });
    const pauseMs = failure.nextAttemptAt.getTime() - before;
    expect(Math.floor(pauseMs / MINUTE)).toBe(pause);
  }
});
