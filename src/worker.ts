/** `npm run worker`: the background work alone, on servers that the environment names. */
import { readConfig, readEnvironment } from './config.ts';
import { openDeps } from './deps.ts';
import { type OnStop, runProcess } from './lifecycle.ts';
import { startWorkers } from './workers/index.ts';

async function start(onStop: OnStop): Promise<void> {
  const deps = await openDeps(readConfig(readEnvironment()));
  onStop('connections', deps.close);
  const workers = await startWorkers(deps);
  onStop('worker', () => workers.stop());
  deps.log.info('the worker is up');
}

await runProcess(start);
