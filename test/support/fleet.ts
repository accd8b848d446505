/** The fleet's own job for a program, in this process, and what it says that it did. */
import type { Deps } from '../../src/deps.ts';
import type { WorkerTask } from '../../src/generated/prisma/client.ts';
import type { ProgramId } from '../../src/kernel/ids.ts';
import { openLog } from '../../src/kernel/log.ts';
import { jobs } from '../../src/workers/jobs.ts';

export const workProgram = (
  deps: Deps,
  programId: ProgramId,
  sliceMs?: number,
): Promise<void> | undefined => {
  const { signal } = new AbortController();
  return jobs.work_program?.run(deps, { programId, signal, ...(sliceMs && { sliceMs }) });
};

export type Done = {
  programId: string;
  day: string;
  task: WorkerTask;
  scanned: number;
  changed: number;
  failed: number;
  members?: (string | null)[];
};

/** The same Deps, with a log that a test can read: the runs of tasks, in their order. */
export function listening(deps: Deps): { deps: Deps; runs: Done[]; text(): string } {
  const runs: Done[] = [];
  let text = '';
  const write = (line: string) => {
    text += line;
    const said = JSON.parse(line) as Done & { msg: string };
    if (said.msg === 'task done') runs.push(said);
  };
  return { deps: { ...deps, log: openLog('info', { write }) }, runs, text: () => text };
}
