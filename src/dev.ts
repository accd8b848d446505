/**
 * `npm start`: the API and the worker in one process, with servers and keys of our own where none
 * are given.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import process from 'node:process';
import {
  type Address,
  type Config,
  checkConfig,
  DEFAULT_HOME,
  readConfig,
  readEnvironment,
} from './config.ts';
import { type Deps, openDeps } from './deps.ts';
import { type SandboxKey, startEmbedded, willBeMade } from './embedded/index.ts';
import { buildServer } from './graphql/server.ts';
import { migrate } from './kernel/migrate.ts';
import { SetupError } from './kernel/setup-error.ts';
import { type OnStop, runProcess } from './lifecycle.ts';
import { seedSandbox } from './seed.ts';
import { startWorkers } from './workers/index.ts';

// Requests are not worth a line each in a terminal; what goes wrong is.
const LOG_LEVEL = 'warn';

async function start(onStop: OnStop): Promise<void> {
  const given: Record<string, string> = { FLASH_LOG_LEVEL: LOG_LEVEL, ...readEnvironment() };
  const { port, host } = checkConfig(given, willBeMade(given));
  await checkPort({ port, host });
  const home = given.FLASH_HOME ?? DEFAULT_HOME;
  const embedded = await startEmbedded({ home, env: given });
  onStop('embedded servers', embedded.stop);
  const config = { ...readConfig(embedded.env), embedded: embedded.embedded };
  const applied = await migrate(config.databaseUrl);
  const opened = await openDeps(config);
  onStop('connections', opened.close);
  const deps = await withSandbox(opened, embedded.sandbox);
  const workers = await startWorkers(deps);
  onStop('worker', () => workers.stop());
  const app = await buildServer(deps);
  onStop('API', () => app.close());
  const origin = await app.listen({ port, host }).catch(explainPort({ port, host }));
  const lines = [`${embedded.how}; ${applied.length} migrations and functions applied`];
  console.log(banner(deps.config, { origin, home, lines }));
}

/** On the first start of an embedded database there is one program to play with. */
async function withSandbox(deps: Deps, sandbox: SandboxKey | undefined): Promise<Deps> {
  if (!sandbox) return deps;
  let sandboxKey = sandbox.key;
  if (sandboxKey === undefined) {
    sandboxKey = (await seedSandbox(deps)).secretKey;
    await sandbox.keep(sandboxKey);
  }
  return { ...deps, config: { ...deps.config, sandboxKey } };
}

/** Before anything is started, so that the second of two `npm start` is told at once. */
async function checkPort({ port, host }: Address): Promise<void> {
  const probe = createServer().listen(port, host);
  await once(probe, 'listening').catch(explainPort({ port, host }));
  probe.close();
  await once(probe, 'close');
}

function explainPort({ port, host }: Address): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    if (error.code === 'EADDRINUSE') {
      throw new SetupError(
        `PORT ${port} on ${host} is taken by another process: stop that one, or set PORT ` +
          '(and FLASH_HOME, for a second Flash beside the first)',
      );
    }
    throw new SetupError(`HOST and PORT cannot be listened on (${error.code})`);
  };
}

/** The one place where keys are shown: a terminal of whoever started the embedded servers. */
function banner(config: Config, about: { origin: string; home: string; lines: string[] }): string {
  const { origin, home, lines } = about;
  const keys = config.embedded
    ? [
        `  Root key       ${config.rootKey}`,
        `  Sandbox key    ${config.sandboxKey ?? ''}`,
        `  Data and keys  ${home}`,
      ]
    : [];
  return [
    '',
    'Flash is running.',
    '',
    `  Playground     ${origin}/graphql   (open it in a browser)`,
    `  API            ${origin}/graphql   (POST, Authorization: Bearer <key>)`,
    `  Health         ${origin}/health/ready`,
    ...keys,
    '',
    ...lines.map((line) => `  ${line}`),
    `  Ctrl-C stops all of it. Process ${process.pid}.`,
    '',
  ].join('\n');
}

await runProcess(start);
