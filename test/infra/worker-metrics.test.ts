/** `npm run worker` as an operator watches it. */
import { expect, inject, test } from 'vitest';
import { testDatabase, testKeys } from '../support/database.ts';
import { freePort } from '../support/free-port.ts';
import { end, runProgram, waitFor } from '../support/process.ts';
import { until } from '../support/until.ts';

test('a worker shows its numbers and its health where it is told to', async () => {
  const port = await freePort();
  const env = {
    ...testKeys,
    DATABASE_URL: await testDatabase(),
    REDIS_URL: inject('redisUrl'),
    FLASH_METRICS_PORT: String(port),
    FLASH_METRICS_TOKEN: 'for-the-scraper',
  };
  const worker = runProgram('src/worker.ts', { env });
  await waitFor(worker, /the worker is up/);
  const ask = (path: string, headers: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${port}${path}`, { headers });
  await until(async () => (await ask('/health/ready')).status === 200);
  expect((await ask('/metrics')).status).toBe(403);
  const answer = await ask('/metrics', { authorization: 'Bearer for-the-scraper' });
  const text = await answer.text();
  for (const name of ['flash_queue_jobs', 'flash_outbox_lag_seconds', 'flash_worker_runs_total'])
    expect(text).toContain(`# TYPE ${name} `);
  expect((await ask('/graphql')).status).toBe(404);
  expect(await end(worker, 'SIGTERM')).toBe(0);
});
