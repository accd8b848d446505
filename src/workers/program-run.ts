import type { Deps } from '../deps.ts';
import type { WorkerTask } from '../generated/prisma/client.ts';
import { openFailures, resolveFailures } from './failures.ts';
import { emptyRun, fail, type OfDay, type RunOf, type Task, type WorkerRun } from './task.ts';

/** `onFailure` is told of a part that fails while the rest goes on, and whose it was. */
export type ProgramTask = {
  task: WorkerTask;
  /** What is due stays due until it is done. Left out: not a part of the daily work. */
  isDue?(deps: Deps, of: OfDay): Promise<boolean>;
  /** Somebody else tries again what failed: see to it that it is no part of a program's work. */
  isTriedElsewhere?: true;
  work(
    deps: Deps,
    of: OfDay & { onFailure(memberId: string | null, error: unknown): Promise<void> },
  ): Promise<{ scanned: number; changed: number }>;
};

/** A task that is done for a program as a whole: what it left undone, the next run finds again. */
export function ofProgram(task: ProgramTask): Task {
  const run = (deps: Deps, of: RunOf) => runOnce(deps, { ...of, task });
  return {
    task: task.task,
    isDue: task.isDue ?? (async () => false),
    mayBeDueBy: task.isDue ?? (async () => false),
    run,
    retry: async (deps, of) => {
      if (task.isTriedElsewhere) return undefined;
      const dueBy = deps.clock.now();
      const asked = { ...of, task: task.task, until: of.day, after: 0n, limit: 1, dueBy };
      const [due] = await openFailures(deps, asked);
      return due && run(deps, of);
    },
  };
}

async function runOnce(
  deps: Deps,
  { task, programId, day }: RunOf & { task: ProgramTask },
): Promise<WorkerRun> {
  const run = emptyRun(task.task);
  const except: bigint[] = [];
  const onFailure = async (memberId: string | null, error: unknown) => {
    const { id } = await fail(deps, { run, programId, day, memberId, error });
    except.push(id);
  };
  try {
    const { scanned, changed } = await task.work(deps, { programId, day, onFailure });
    Object.assign(run, { scanned, changed });
  } catch (error) {
    await onFailure(null, error);
    return run;
  }
  await resolveFailures(deps, { programId, task: task.task, except });
  return run;
}
