import { expect, test } from 'vitest';
import { advanceClock as moveClock } from '../../src/programs/index.ts';
import { workDays } from '../../src/workers/daily-work.ts';
import { advanceClock } from '../../src/workers/index.ts';
import { dailyTasks } from '../../src/workers/tasks.ts';
import { testDeps } from '../support/database.ts';
import { everythingDue, goLive } from '../support/everything-due.ts';
import { type Done, listening, workProgram } from '../support/fleet.ts';
import { DAY, HOUR, openLedger } from '../support/ledger.ts';
import { localDays } from '../support/local-days.ts';
import { today } from '../support/today.ts';
import { PATIENCE } from '../support/torture.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const tasks = dailyTasks.map(({ task }) => task);
const inBrief = (runs: Done[]) => runs.map(({ day, task }) => `${day} ${task}`);
const place = async (programId: string) => {
  const { day, step } = await deps.db.programWork.findUniqueOrThrow({ where: { programId } });
  return [day.toISOString().slice(0, 10), step];
};

/** A lot that ends at each of these instants. */
async function ending(timeZone: string, clock: Date, ends: Date[]) {
  const own = await openLedger(deps, { timeZone, clock });
  const member = await own.member();
  for (const expiresAt of ends) await own.grant(member, 1, { expiresAt });
  return own;
}

test('days are worked in order, and what has nothing to do on one leaves no trace', async () => {
  const clock = new Date('2021-01-01T12:00:00Z');
  const ends = [2, 2, 5, 9].map((days) => new Date(clock.getTime() + days * DAY));
  const { programId } = await ending('UTC', clock, ends);
  const heard = listening(deps);
  await advanceClock(heard.deps, { programId, to: new Date('2021-01-15T12:00:00Z') });
  const busy = ['2021-01-04', '2021-01-07', '2021-01-11'];
  expect(inBrief(heard.runs)).toEqual(busy.map((day) => `${day} EXPIRE_POINTS`));
  expect(await place(programId)).toEqual(['2021-01-16', 0]);
});

test(
  'days that a live program has missed are made up for in order, once each',
  PATIENCE,
  async () => {
    const day = await today();
    const { plusDays } = localDays('UTC');
    const scene = await everythingDue(deps, { day: plusDays(day, -2), count: 3 });
    const { programId } = scene;
    await goLive(deps, scene);
    const heard = listening(deps);
    await workProgram(heard.deps, programId);
    const days = [...new Set(heard.runs.map(({ day }) => day))];
    expect(days).toEqual([...days].sort());
    expect(days[0]).toBe(scene.day);
    expect(inBrief(heard.runs).slice(0, tasks.length)).toEqual(
      tasks.map((task) => `${scene.day} ${task}`),
    );
    expect(heard.runs.slice(0, tasks.length).map(({ changed }) => changed)).toEqual(
      tasks.map(() => 3),
    );
    expect((await place(programId))[0]).toBe(plusDays(day, 1));
    const again = listening(deps);
    await unchanged(deps.db, async () => workProgram(again.deps, programId));
    expect(again.runs).toEqual([]);
  },
);

test('the day of `to` is worked when its midnight has passed, and not a moment earlier', async () => {
  const clock = new Date('2021-01-01T12:00:00Z');
  const midnight = new Date('2021-01-02T00:00:00Z');
  const own = await ending('UTC', clock, [midnight]);
  const heard = listening(deps);
  const { programId } = own;
  await advanceClock(heard.deps, { programId, to: new Date(midnight.getTime() - 1) });
  expect(heard.runs).toEqual([]);
  await advanceClock(heard.deps, { programId, to: midnight });
  expect(heard.runs.length).toBe(1);
  await unchanged(deps.db, () => advanceClock(heard.deps, { programId, to: midnight }));
  expect(heard.runs.length).toBe(1);
});

test.each([
  ['America/New_York', '2021-03-12', '23 hours'],
  ['America/New_York', '2021-11-05', '25 hours'],
  ['America/Sao_Paulo', '2018-11-02', 'a day that begins at one'],
  ['America/Havana', '2021-11-05', 'a midnight that comes twice'],
  ['Asia/Tehran', '2021-03-20', '23 hours, from midnight on'],
  ['Pacific/Apia', '2011-12-28', 'a date that is left out'],
  ['Pacific/Kiritimati', '1994-12-30', 'another'],
  ['Pacific/Pago_Pago', '2021-06-01', 'the far side of the date line'],
])('%s from %s on (%s): every day at its own beginning', async (timeZone, first) => {
  const { of, plusDays, startOf } = localDays(timeZone);
  const startNotBefore = (at: number) =>
    startOf(of(at)) === at ? at : startOf(plusDays(of(at), 1));
  const clock = new Date(Date.parse(`${first}T12:00:00Z`));
  const ends = Array.from({ length: 16 }, (_, n) => new Date(clock.getTime() + (1 + 7 * n) * HOUR));
  const { programId } = await ending(timeZone, clock, ends);
  await advanceClock(deps, { programId, to: new Date(clock.getTime() + 7 * DAY) });
  const entries = await deps.db.ledgerEntry.findMany({
    where: { programId, kind: 'EXPIRE' },
    orderBy: { id: 'asc' },
  });
  expect(entries.map(({ at }) => at.toISOString())).toEqual(
    ends.map((end) => new Date(startNotBefore(end.getTime())).toISOString()),
  );
});

test.each(['UTC', 'Pacific/Kiritimati', 'Pacific/Pago_Pago', 'Asia/Kathmandu'])(
  '%s: a live program is due again at its next midnight',
  async (timeZone) => {
    const own = await openLedger(deps, { timeZone, sandbox: false, clock: null } as never);
    const { of, plusDays, startOf } = localDays(timeZone);
    const midnight = () => new Date(startOf(plusDays(of(Date.now()), 1)));
    await deps.db.programWork.updateMany({
      where: { programId: own.programId },
      data: { dueAt: new Date(0) },
    });
    const before = midnight();
    await workProgram(deps, own.programId);
    const { dueAt } = await deps.db.programWork.findUniqueOrThrow({
      where: { programId: own.programId },
    });
    // It may be midnight somewhere while this runs.
    expect([before, midnight()]).toContainEqual(dueAt);
  },
);

test('interrupted between any two steps, no day counts as done that has not begun', async () => {
  const clock = new Date('2021-01-01T12:00:00Z');
  const until = new Date('2021-05-20T12:00:00Z');
  const own = await ending('UTC', clock, [new Date('2021-02-14T00:00:00Z')]);
  const { programId } = own;
  const die = () => {
    throw new Error('dead');
  };
  let isOver = false;
  for (let steps = 0; !isOver; steps++) {
    let left = steps;
    const begin = (start: Date) => (left-- > 0 ? moveClock(deps, { programId, to: start }) : die());
    const work = { programId, until, mayGoOn: () => {}, begin: async (at: Date) => begin(at) };
    isOver = await workDays(deps, work).then(
      () => true,
      () => false,
    );
    const { clock: now } = await deps.db.program.findUniqueOrThrow({ where: { id: programId } });
    const [next] = await place(programId);
    expect(Date.parse(String(next))).toBeLessThanOrEqual(Number(now) + DAY);
  }
  // Six leaps over idle days, and one day with work.
  expect((await place(programId))[0]).toBe('2021-05-21');
  const entries = await deps.db.ledgerEntry.findMany({ where: { programId, kind: 'EXPIRE' } });
  expect(entries.map(({ at }) => at)).toEqual([new Date('2021-02-14T00:00:00Z')]);
});

test('a clock that was moved without the work: the days are made up for where it stands', async () => {
  const clock = new Date('2021-01-01T12:00:00Z');
  const own = await ending('UTC', clock, [new Date('2021-01-03T00:00:00Z')]);
  const { programId } = own;
  const stood = new Date('2021-01-10T06:00:00Z');
  await moveClock(deps, { programId, to: stood });
  await advanceClock(deps, { programId, to: stood });
  const [entry] = await deps.db.ledgerEntry.findMany({ where: { programId, kind: 'EXPIRE' } });
  expect(entry?.at).toEqual(stood);
});
