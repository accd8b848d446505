import type { Deps } from '../deps.ts';
import type { WorkerFailure } from '../generated/prisma/client.ts';
import { inPages, PAGE } from '../kernel/in-pages.ts';
import type { MemberTask } from '../kernel/member-task.ts';
import { failedOf, openFailures, resolveFailure } from './failures.ts';
import { giveWay } from './give-way.ts';
import { DAYS_AT_ONCE, emptyRun, fail, type RunOf, type Task, type WorkerRun } from './task.ts';

type Running = RunOf & { task: MemberTask; run: WorkerRun };

/** A task that is done for the members for whom something is due. */
export function ofMembers(task: MemberTask): Task {
  const begin = (of: RunOf): Running => ({ ...of, task, run: of.into ?? emptyRun(task.task) });
  const isDue: Task['isDue'] = async (deps, of) => {
    const [first] = await task.due(deps, { ...of, after: undefined, limit: 1 });
    return first !== undefined;
  };
  const mayBeDueBy: Task['mayBeDueBy'] = task.hasDays ?? isDue;
  return {
    task: task.task,
    isDue,
    mayBeDueBy,
    run: async (deps, of) => {
      const running = begin(of);
      await catchUp(deps, running);
      const days = [...daysFrom(new Date(of.since ?? of.day), of.day)];
      while (days.length > 0) {
        const some = days.splice(0, DAYS_AT_ONCE);
        if (await mayBeDueBy(deps, { ...of, day: some.at(-1) as string }))
          for (const day of some) await runDay(deps, { ...running, day });
      }
      return running.run;
    },
    retry: async (deps, of) => {
      const running = begin({ ...of, dueBy: deps.clock.now() });
      await catchUp(deps, running);
      return running.run.scanned > 0 ? running.run : undefined;
    },
  };
}

/** All but those who stopped at this day or at an earlier one: whose failure is open. */
async function runDay(deps: Deps, running: Running): Promise<void> {
  const { task, run, programId, day } = running;
  let [began, isFull] = [0, false];
  let held: ReadonlySet<string> = new Set();
  await inPages({
    list: async (after) => {
      running.mayGoOn();
      if (isFull) await giveWay(deps, performance.now() - began);
      began = performance.now();
      const page = await task.due(deps, { programId, day, after, limit: PAGE });
      isFull = page.length === PAGE;
      const memberIds = page.map(({ memberId }) => memberId);
      held = await failedOf(deps, { programId, task: run.task, memberIds });
      run.scanned += page.length - held.size;
      return page;
    },
    work: async (members) => {
      const memberIds = members.map(({ memberId }) => memberId).filter((id) => !held.has(id));
      if (memberIds.length === 0) return 0;
      const changed = await task.work(deps, { programId, day, memberIds });
      run.changed += changed;
      return changed;
    },
    failed: async ({ memberId }, error) => {
      await fail(deps, { run, programId, day, memberId, error });
    },
  });
}

/** Those who failed before, each from the day at which they stopped. */
async function catchUp(deps: Deps, running: Running): Promise<void> {
  const { run, programId, day: until, dueBy } = running;
  let after = 0n;
  for (;;) {
    const of = { programId, task: run.task, until, after, limit: PAGE, dueBy };
    const open = await openFailures(deps, of);
    for (const failure of open) await catchUpOne(deps, { ...running, failure });
    const last = open.at(-1);
    if (!last) return;
    after = last.id;
  }
}

/** Closed only when every day up to the present one is done: a process may die on the way. */
async function catchUpOne(
  deps: Deps,
  { failure, ...running }: Running & { failure: WorkerFailure },
): Promise<void> {
  const { task, run, programId } = running;
  const memberId = failure.memberId as string;
  let changed = 0;
  run.scanned += 1;
  for (const day of daysFrom(failure.day, running.day)) {
    running.mayGoOn();
    try {
      changed += await task.work(deps, { programId, day, memberIds: [memberId] });
    } catch (error) {
      await fail(deps, { run, programId, day, memberId, error });
      return;
    }
  }
  await resolveFailure(deps, failure);
  run.changed += changed === 0 ? 0 : 1;
}

/** Dates of the calendar, the last one included; when they begin is another question. */
function* daysFrom(first: Date, last: string): Generator<string> {
  for (const at = new Date(first); ; at.setUTCDate(at.getUTCDate() + 1)) {
    const day = at.toISOString().slice(0, 10);
    if (day > last) return;
    yield day;
  }
}
