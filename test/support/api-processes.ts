/** Real API processes on one database, and a client of each. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { inject } from 'vitest';
import { type Body, post } from './api.ts';
import { testKeys } from './database.ts';
import { end, launch, type Program } from './process.ts';

export type ApiProcess = {
  /** Throws when the answer has errors, or when there is none because the process has died. */
  data(secretKey: string, document: string, variables: unknown): Promise<Body['data']>;
  end(signal: NodeJS.Signals): Promise<number | null>;
};

const STARTING_MS = 30_000;

export async function startApiProcess(databaseUrl: string): Promise<ApiProcess> {
  const port = await freePort();
  const env = {
    ...testKeys,
    DATABASE_URL: databaseUrl,
    REDIS_URL: inject('redisUrl'),
    PORT: String(port),
    FLASH_LOG_LEVEL: 'silent',
  };
  const program = launch('src/main.ts', { env });
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url, program);
  return {
    data: async (credential, query, variables) => {
      const body = JSON.stringify({ query, variables });
      const answer = await post(url, { credential, body });
      if (answer.body.errors || !answer.body.data) throw new Error(answer.text);
      return answer.body.data;
    },
    end: (signal) => end(program, signal),
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  return port;
}

async function untilReady(url: string, program: Program): Promise<void> {
  const giveUpAt = performance.now() + STARTING_MS;
  while (performance.now() < giveUpAt) {
    const response = await fetch(`${url}/health/ready`).catch(() => undefined);
    if (response?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  program.child.kill('SIGKILL');
  throw new Error(`the API did not become ready:\n${program.output()}`);
}
