/** The API as it is deployed: src/main.ts in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../src/embedded/postgres.ts';
import { onEnd } from './cleanup.ts';

export type Api = {
  port: number;
  /** Throws when the answer has errors. */
  query<Data>(secretKey: string, asked: { query: string; variables?: unknown }): Promise<Data>;
  /** What /metrics says of one number. */
  metric(name: string): Promise<number>;
};

const PROJECT = new URL('../', import.meta.url);
const PATIENCE_MS = 30_000;

export async function startApi(env: Record<string, string>): Promise<Api> {
  const port = await freePort();
  // Such as `--cpu-prof --cpu-prof-dir=/tmp/profile`: where the time goes in the API process.
  const flags = (process.env.FLASH_BENCH_API_FLAGS ?? '').split(' ').filter((flag) => flag !== '');
  const child = spawn(process.execPath, [...flags, ...(await deployed())], {
    cwd: fileURLToPath(PROJECT),
    env: { ...env, PORT: String(port), PATH: process.env.PATH },
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true, // Ctrl-C goes to the whole group, and the API is to end when we say so
  });
  onEnd('API', async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  const origin = `http://127.0.0.1:${port}`;
  for (const began = performance.now(); ; await sleep(50)) {
    const ready = await fetch(`${origin}/health/ready`).catch(() => undefined);
    if (ready?.ok) break;
    if (child.exitCode !== null || performance.now() - began > PATIENCE_MS)
      throw new Error('the API process did not come up');
  }
  return {
    port,
    query: (secretKey, asked) => post(origin, { secretKey, asked }),
    metric: async (name) => {
      const text = await (await fetch(`${origin}/metrics`)).text();
      return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]);
    },
  };
}

/** What `npm run api` gives to node. */
async function deployed(): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(new URL('package.json', PROJECT), 'utf8'));
  return scripts.api.split(' ').slice(2);
}

async function post<Data>(
  origin: string,
  { secretKey, asked }: { secretKey: string; asked: unknown },
): Promise<Data> {
  const response = await fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secretKey}` },
    body: JSON.stringify(asked),
  });
  const body = (await response.json()) as { data: Data; errors?: unknown };
  if (body.errors) throw new Error(JSON.stringify(body.errors));
  return body.data;
}
