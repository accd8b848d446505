/** The load generator is a process of its own: it must not share an event loop with anything. */
import process from 'node:process';
import { runJob } from './generator.ts';
import type { Job } from './job.ts';

process.on('message', async (job: Job) => {
  try {
    process.send?.({ measured: await runJob(job) });
  } catch (error) {
    process.send?.({ error: (error as Error).message });
  }
});
// Ctrl-C goes to the whole group: whoever started this process ends it.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));
