/**
 * The daily work of a program: every local day whose start has passed, in order, and of each day
 * every task, in order. `program_work` says which day and which of its tasks is next; each step
 * forward is a compare-and-swap, so that nobody goes on who has been overtaken.
 */
import type { Deps } from '../deps.ts';
import { conflict } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { failingTasks } from './failures.ts';
import { DAYS_AT_ONCE, type Task } from './task.ts';
import { allTasks, dailyTasks } from './tasks.ts';

type Place = { day: string; step: number };
type DueDay = Place & { start: Date; next: string };

export type DailyWork = {
  programId: ProgramId;
  /** Days that begin after this instant of the program's clock are not due. */
  until: Date;
  mayGoOn(): void;
  /** Of those who failed before only whose next attempt is due by then; left out: all of them. */
  dueBy?: Date;
  /** Before the first task of a day on which there is something to do, or that is passed over. */
  begin(start: Date): Promise<unknown>;
};

export async function workDays(deps: Deps, work: DailyWork): Promise<void> {
  for (;;) {
    const days = await dueDays(deps, work);
    const [first] = days;
    if (!first) return;
    const last = days.at(-1) as DueDay;
    let place: Place = first;
    let tasks = await tasksOf(deps, { ...work, day: last.day });
    for (const day of days) {
      work.mayGoOn();
      const done = await workDay(deps, { work, day, place, tasks });
      place = done.place;
      // It may have made something due that was not.
      if (done.runs > 0) tasks = allSteps;
    }
    // Whoever died between the place and the clock would leave days that count as done to come.
    await work.begin(last.start);
    await move(deps, { ...work, from: place, to: { day: last.next, step: 0 } });
  }
}

const allSteps: readonly number[] = dailyTasks.map((_, step) => step);

/** The tasks that have anything to do up to a day, as things are, or that have failed before. */
async function tasksOf(
  deps: Deps,
  of: { programId: ProgramId; day: string },
): Promise<readonly number[]> {
  const failing = await failingTasks(deps, of.programId);
  const steps: number[] = [];
  for (const [step, task] of dailyTasks.entries())
    if (failing.has(task.task) || (await task.mayBeDueBy(deps, of))) steps.push(step);
  return steps;
}

type OneDay = { work: DailyWork; day: DueDay; place: Place; tasks: readonly number[] };

/**
 * A task that has nothing to do costs one look, and leaves no trace. The clock goes before the
 * place: should this process die between them, the days passed over are still not done.
 */
async function workDay(deps: Deps, { work, day, place, tasks }: OneDay) {
  const { programId } = work;
  const failing = tasks.length === 0 ? new Set() : await failingTasks(deps, programId);
  let at = place;
  let runs = 0;
  for (const step of tasks) {
    const task = dailyTasks[step] as Task;
    const isDue = () => task.isDue(deps, { programId, day: day.day });
    if (step < day.step || !(failing.has(task.task) || (await isDue()))) continue;
    if (runs === 0) await work.begin(day.start);
    at = await move(deps, { programId, from: at, to: { day: day.day, step } });
    await task.run(deps, { ...work, day: day.day });
    runs += 1;
  }
  return { place: at, runs };
}

/** In order; the first may be half done. A sandbox that stands past a day's start stays there. */
async function dueDays(deps: Deps, { programId, until }: DailyWork): Promise<DueDay[]> {
  return deps.db.$queryRaw<DueDay[]>`
    SELECT d.day::date::text AS day, (d.day::date + 1)::text AS next,
      CASE WHEN d.day::date = w.day THEN w.step ELSE 0 END AS step,
      greatest(day_start(w.program_id, d.day::date), program_now(w.program_id)) AS start
    FROM program_work w
    CROSS JOIN LATERAL generate_series(w.day,
      least(day_of(w.program_id, ${until}), w.day + ${DAYS_AT_ONCE}::int - 1),
      interval '1 day') AS d(day)
    WHERE w.program_id = ${programId}::uuid ORDER BY 1`;
}

type Move = { programId: ProgramId; from: Place; to: Place };

async function move(deps: Deps, { programId, from, to }: Move): Promise<Place> {
  if (from.day === to.day && from.step === to.step) return from;
  const moved = await deps.db.programWork.updateMany({
    where: { programId, day: new Date(from.day), step: from.step },
    data: { day: new Date(to.day), step: to.step },
  });
  if (moved.count !== 1) throw conflict('somebody else has gone on with the daily work');
  return { day: to.day, step: to.step };
}

/** Those whose next attempt is due, each up to the last day that is done for everybody. */
export async function retryFailures(
  deps: Deps,
  { programId, mayGoOn }: { programId: ProgramId; mayGoOn(): void },
): Promise<void> {
  const [place] = await deps.db.$queryRaw<{ day: string; before: string; step: number }[]>`
    SELECT day::text, (day - 1)::text AS before, step FROM program_work
    WHERE program_id = ${programId}::uuid`;
  if (!place) return;
  const failing = await failingTasks(deps, programId);
  for (const task of allTasks.filter((one) => failing.has(one.task))) {
    const position = dailyTasks.indexOf(task);
    const day = position < place.step ? place.day : place.before;
    await task.retry(deps, { programId, day, mayGoOn });
  }
}
