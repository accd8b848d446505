/** `npm run worker`: the background work alone, on servers that the environment names. */
import { readConfig, readEnvironment } from './config.ts';
import { openDeps } from './deps.ts';
import { buildMetricsServer } from './http/metrics-server.ts';
import { type OnStop, runProcess } from './lifecycle.ts';
import { fleetMetrics, startWorkers } from './workers/index.ts';

async function start(onStop: OnStop): Promise<void> {
  const config = readConfig(readEnvironment());
  const deps = await openDeps({ ...config, serviceName: 'flash-worker' });
  onStop('connections', deps.close);
  fleetMetrics(deps);
  const workers = await startWorkers(deps);
  onStop('worker', () => workers.stop());
  if (config.metricsPort !== undefined) {
    const app = await buildMetricsServer(deps);
    onStop('metrics', () => app.close());
    await app.listen({ port: config.metricsPort, host: config.host });
  }
  deps.log.info('the worker is up');
}

await runProcess(start);
