/** A task by hand while days are missed: they come first, in their order. */
import { expect, test } from 'vitest';
import type { MemberId } from '../../src/kernel/ids.ts';
import { upsertMember } from '../../src/members/index.ts';
import { runWorker } from '../../src/workers/index.ts';
import { dailyTasks } from '../../src/workers/tasks.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { openLedger } from '../support/ledger.ts';
import { poison } from '../support/poison.ts';
import { openTiers } from '../support/tiers.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const task = 'BIRTHDAY_BONUS';
const STEP = dailyTasks.findIndex((daily) => daily.task === task);

/** Birthdays on three days of which none was worked; the clock stands at the third. */
async function threeMissed() {
  const clock = new Date('2021-06-14T08:00:00Z');
  const own = await openLedger(deps, { clock, settings: { birthdayBonus: 50 } });
  const { programId } = own;
  const born: MemberId[] = [];
  for (const birthday of ['1990-06-15', '1990-06-17', '1990-06-16', '1990-06-18']) {
    const input = { externalId: unique('born'), birthday };
    born.push((await upsertMember(deps, { programId, input })).id as MemberId);
  }
  await own.tick(new Date('2021-06-17T08:00:00Z'));
  const [first, third, second] = born as [MemberId, MemberId, MemberId];
  const paid = async () => (await own.lots()).map(({ memberId }) => memberId);
  return { own, programId, first, second, third, paid };
}

test('missed days are made up for in order, and a second run changes nothing', async () => {
  const { programId, first, second, third, paid } = await threeMissed();
  const run = () => runWorker(deps, { programId, task });
  expect(await run()).toMatchObject({ scanned: 3, changed: 3, failed: 0 });
  expect(await paid()).toEqual([first, second, third]);
  expect(await unchanged(deps.db, run)).toMatchObject({ changed: 0, failed: 0 });
});

test('a day of which the daily work has done this task already is not gone back to', async () => {
  const { programId, second, third, paid } = await threeMissed();
  await deps.db.programWork.updateMany({ where: { programId }, data: { step: STEP + 1 } });
  await runWorker(deps, { programId, task });
  expect(await paid()).toEqual([second, third]);
});

test('a day of which the daily work stands at this task is worked', async () => {
  const { programId, first, second, third, paid } = await threeMissed();
  await deps.db.programWork.updateMany({ where: { programId }, data: { step: STEP } });
  await runWorker(deps, { programId, task });
  expect(await paid()).toEqual([first, second, third]);
});

test('whoever fails on a missed day stops there, and is counted once', async () => {
  const { programId, first, second, third, paid } = await threeMissed();
  const repair = await poison(deps, { task, memberId: second });
  const run = () => runWorker(deps, { programId, task });
  expect(await run()).toMatchObject({ changed: 2, failed: 1 });
  expect(await paid()).toEqual([first, third]);
  await repair();
  expect(await run()).toMatchObject({ changed: 1, failed: 0 });
  expect(await paid()).toEqual([first, third, second]);
});

test('a grace has the end that undisturbed days would have given it, a year later too', async () => {
  const own = await openTiers(deps);
  const member = await own.member();
  await own.lot(member, 500);
  await own.tick(new Date('2022-02-01T08:00:00Z'));
  const { programId } = own;
  await runWorker(deps, { programId, task: 'EVALUATE_TIERS' });
  expect((await own.history(member)).slice(1)).toEqual(['GRACE_OVER 3-2 2022-01-31']);
  expect(await own.grace(member)).toBe('2022-03-03');
});
