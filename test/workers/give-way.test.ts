import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { giveWay } from '../../src/workers/give-way.ts';
import { testDeps } from '../support/database.ts';
import { sessions } from '../support/sessions.ts';

const deps = await testDeps();
const PAGE_MS = 50;

test('long work rests while others are at work, also between two of their statements', async () => {
  const [other] = await sessions(deps.config.databaseUrl, 1);
  await other?.query('SELECT 1');
  expect(await giveWay(deps, 60_000)).toBe(true);
  await sleep(2 * PAGE_MS);
  expect(await giveWay(deps, PAGE_MS)).toBe(false);
  const long = other?.query('SELECT pg_sleep(0.5)');
  await sleep(2 * PAGE_MS);
  expect(await giveWay(deps, PAGE_MS)).toBe(true);
  await long;
});
