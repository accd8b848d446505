/** A task of the daily work, run for one day as the fleet runs it: page by page. */
import type { Deps } from '../../src/deps.ts';
import type { MemberId, ProgramId } from '../../src/kernel/ids.ts';
import type { MemberTask } from '../../src/kernel/member-task.ts';

type Run = { programId: ProgramId; day: string; limit?: number };

/** Everybody for whom something is due, in the task's order. */
export async function whoIsDue(
  deps: Deps,
  task: MemberTask,
  { programId, day, limit = 400 }: Run,
): Promise<MemberId[]> {
  const found: MemberId[] = [];
  for (let after: string | undefined; ; ) {
    const page = await task.due(deps, { programId, day, after, limit });
    found.push(...page.map(({ memberId }) => memberId));
    after = page.at(-1)?.cursor;
    if (page.length < limit) return found;
  }
}

/** Answers for how many members something was due, and for how many something changed. */
export async function runTask(deps: Deps, task: MemberTask, run: Run) {
  const { programId, day, limit = 400 } = run;
  const done = { scanned: 0, changed: 0 };
  for (let after: string | undefined; ; ) {
    const page = await task.due(deps, { programId, day, after, limit });
    if (page.length === 0) return done;
    const memberIds = page.map(({ memberId }) => memberId);
    done.scanned += page.length;
    done.changed += await task.work(deps, { programId, day, memberIds });
    after = page.at(-1)?.cursor;
  }
}
