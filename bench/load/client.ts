import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onEnd } from '../cleanup.ts';
import type { Job, Measured } from './job.ts';

export type Load = { run(job: Job): Promise<Measured> };
type Reply = { measured?: Measured; error?: string };

/** Starts the load process. `run` rejects when an answer was not the expected one. */
export function startLoad(): Load {
  const file = fileURLToPath(new URL('./process.ts', import.meta.url));
  const child = fork(file, { execArgv: ['--import', 'tsx'] });
  onEnd('load generator', async () => {
    if (child.connected) child.disconnect();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  let waiting: ((reply: Reply) => void) | undefined;
  child.on('message', (reply: Reply) => waiting?.(reply));
  child.on('exit', () => waiting?.({ error: 'the load generator ended' }));
  return {
    run: async (job) => {
      const answered = new Promise<Reply>((resolve) => {
        waiting = resolve;
      });
      child.send(job);
      const { measured, error } = await answered;
      if (!measured) throw new Error(error);
      return measured;
    },
  };
}
