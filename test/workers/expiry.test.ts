import { expect, test } from 'vitest';
import { advanceClock, runWorker } from '../../src/workers/index.ts';
import { testDeps } from '../support/database.ts';
import { aCrowd } from '../support/factories.ts';
import { DAY, NOON, openLedger } from '../support/ledger.ts';
import { poison } from '../support/poison.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const later = (days: number) => new Date(NOON.getTime() + days * DAY);

test('a member who fails is recorded, holds up nobody, and is done once repaired', async () => {
  const own = await openLedger(deps, { settings: { expiryMonths: 1 } });
  const { programId } = own;
  const members = await aCrowd(deps, { programId, count: 300 });
  await Promise.all(members.map((member) => own.lot(member, 100)));
  const [, , sick] = members;
  const repair = await poison(deps, { table: 'members', column: 'id', id: sick as string });
  await own.tick(later(40));
  const task = 'EXPIRE_POINTS';
  const first = await runWorker(deps, { programId, task });
  expect(first).toMatchObject({ scanned: 300, changed: 299, failed: 1 });
  expect(first.failures).toMatchObject([
    { memberId: sick, message: 'database error 23514', attempts: 1, resolvedAt: null },
  ]);
  const again = await runWorker(deps, { programId, task });
  expect(again).toMatchObject({ scanned: 1, changed: 0, failed: 1 });
  expect(again.failures).toMatchObject([{ attempts: 2 }]);
  await repair();
  const last = await runWorker(deps, { programId, task });
  expect(last).toMatchObject({ scanned: 1, changed: 1, failed: 0, failures: [] });
  const [failure] = await deps.db.workerFailure.findMany({ where: { programId } });
  expect(failure?.resolvedAt).not.toBeNull();
  const idle = await unchanged(deps.db, () => runWorker(deps, { programId, task }));
  expect(idle).toMatchObject({ scanned: 0, changed: 0, failed: 0 });
  expect(await own.differences()).toEqual([]);
});

test('a member who fails on one day is caught up by a later one', async () => {
  const own = await openLedger(deps, { settings: { expiryMonths: 1 } });
  const { programId } = own;
  const [sick, well] = [await own.member(), await own.member()];
  for (const member of [sick, well]) await own.lot(member, 100);
  const repair = await poison(deps, { table: 'members', column: 'id', id: sick });
  await advanceClock(deps, { programId, to: later(35) });
  expect(await own.points(well)).toEqual([0, 0, 0, 0]);
  expect(await own.points(sick)).toEqual([0, 0, 0, 100]);
  const open = await deps.db.workerFailure.findMany({ where: { programId } });
  expect(open).toMatchObject([{ day: new Date('2021-02-02'), attempts: 4, resolvedAt: null }]);
  await repair();
  await advanceClock(deps, { programId, to: later(36) });
  expect(await own.points(sick)).toEqual([0, 0, 0, 0]);
  expect(await own.differences()).toEqual([]);
});
