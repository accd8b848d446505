import type { Deps } from '../deps.ts';
import type { WorkerFailure, WorkerTask } from '../generated/prisma/client.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { type Failed, recordFailure } from './failures.ts';

export type OfDay = { programId: ProgramId; day: string };

export type RunOf = OfDay & {
  /** Throws where the work should stop, at a place where nothing is half done. */
  mayGoOn(): void;
  /** The first of the days before this one that were missed, and are made up for with it. */
  since?: string | undefined;
  /** Real time: of those who failed before only whose next attempt is due by then. */
  dueBy?: Date | undefined;
  /** Filled as the work goes on: also what was done when it has to stop says so. */
  into?: WorkerRun;
};

/** What one run of a task came to. `failures` are the first of those that `failed` counts. */
export type WorkerRun = {
  task: WorkerTask;
  scanned: number;
  changed: number;
  failed: number;
  failures: WorkerFailure[];
};

/** A part of the background work, whatever it is done by. */
export type Task = {
  task: WorkerTask;
  /** Whether a run for this day would find anything. */
  isDue(deps: Deps, of: OfDay): Promise<boolean>;
  /** False: as things are, nothing is due on any day up to this one. */
  mayBeDueBy(deps: Deps, of: OfDay): Promise<boolean>;
  run(deps: Deps, of: RunOf): Promise<WorkerRun>;
  /** What failed earlier and may be tried again by now, if anything, up to a day that is done. */
  retry(deps: Deps, of: RunOf): Promise<WorkerRun | undefined>;
};

/** Looked ahead at once: years may have been missed, and most days bring nothing. */
export const DAYS_AT_ONCE = 32;

const SHOWN = 200;

export const emptyRun = (task: WorkerTask): WorkerRun => ({
  task,
  scanned: 0,
  changed: 0,
  failed: 0,
  failures: [],
});

/** Keeps the failure, and counts it. */
export async function fail(
  deps: Deps,
  { run, ...failed }: Omit<Failed, 'task'> & { run: WorkerRun },
): Promise<WorkerFailure> {
  const failure = await recordFailure(deps, { ...failed, task: run.task });
  run.failed += 1;
  if (run.failures.length < SHOWN) run.failures.push(failure);
  return failure;
}
