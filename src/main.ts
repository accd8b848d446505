/** `npm run api`: the API alone, on servers that the environment names. */
import { readConfig, readEnvironment } from './config.ts';
import { openDeps } from './deps.ts';
import { buildServer } from './graphql/server.ts';
import { type OnStop, runProcess } from './lifecycle.ts';

async function start(onStop: OnStop): Promise<void> {
  const config = readConfig(readEnvironment());
  const deps = await openDeps({ ...config, serviceName: 'flash-api' });
  onStop('connections', deps.close);
  const app = await buildServer(deps);
  onStop('API', () => app.close());
  await app.listen({ port: config.port, host: config.host });
}

await runProcess(start);
