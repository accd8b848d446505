import type { Deps } from '../deps.ts';
import type { WorkerTask } from '../generated/prisma/client.ts';
import type { ProgramId } from '../kernel/ids.ts';
import type { WorkerRun } from './task.ts';
import { taskNamed } from './tasks.ts';

/**
 * A task by hand, for the program's current local day, whatever else is at work: every task takes
 * the locks that it needs, and finds nothing left that another has done.
 */
export async function runWorker(
  deps: Deps,
  { programId, task }: { programId: ProgramId; task: WorkerTask },
): Promise<WorkerRun> {
  const [today] = await deps.db.$queryRaw<{ day: string }[]>`
    SELECT day_of(${programId}::uuid, program_now(${programId}::uuid))::text AS day`;
  if (!today) throw new Error('a program without a day');
  return taskNamed(task).run(deps, { programId, day: today.day, mayGoOn: () => {} });
}
