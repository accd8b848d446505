import type { Deps } from '../deps.ts';
import type { WorkerTask } from '../generated/prisma/client.ts';
import type { ProgramId } from '../kernel/ids.ts';
import type { WorkerRun } from './task.ts';
import { dailyTasks, taskNamed } from './tasks.ts';

/**
 * A task by hand, for the program's current local day, and before it for those that were missed,
 * in their order. Whatever else is at work, on the same days too: every task takes the locks that
 * it needs, and finds nothing left that another has done.
 */
export async function runWorker(
  deps: Deps,
  { programId, task }: { programId: ProgramId; task: WorkerTask },
): Promise<WorkerRun> {
  const step = dailyTasks.findIndex((daily) => daily.task === task);
  const [days] = await deps.db.$queryRaw<{ day: string; since: string }[]>`
    SELECT today::text AS day, least(today, CASE WHEN step > ${step}::int
      THEN day + 1 ELSE day END)::text AS since
    FROM program_work, (
      SELECT day_of(${programId}::uuid, program_now(${programId}::uuid)) AS today) c
    WHERE program_id = ${programId}::uuid`;
  if (!days) throw new Error('a program without a day');
  return taskNamed(task).run(deps, { programId, ...days, mayGoOn: () => {} });
}
