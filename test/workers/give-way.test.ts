import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { giveWay } from '../../src/workers/give-way.ts';
import { testDeps } from '../support/database.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { until } from '../support/until.ts';

const deps = await testDeps();
const PAGE_MS = 1;
const RECENTLY_MS = 200;

/** One short statement after another until the work is done. */
async function beside<T>(busy: Session[], work: () => Promise<T>): Promise<T> {
  let isOver = false;
  const loops = busy.map(async (session) => {
    while (!isOver) await session.query('SELECT 1');
  });
  try {
    return await work();
  } finally {
    isOver = true;
    await Promise.all(loops);
  }
}

test('long work rests while others are at work, and not for one connection that looks', async () => {
  const [one, other] = (await sessions(deps.config.databaseUrl, 2)) as [Session, Session];
  await beside([one, other], async () => {
    await until(() => giveWay(deps, PAGE_MS)); // both may have stood still for a moment
  });
  await sleep(RECENTLY_MS);
  expect(await giveWay(deps, PAGE_MS)).toBe(false);
  await one.query('SELECT 1');
  expect(await giveWay(deps, PAGE_MS)).toBe(false);
});

test('long work rests while one long statement is under way', async () => {
  const [one, other] = (await sessions(deps.config.databaseUrl, 2)) as [Session, Session];
  await other.query('SET lock_timeout = 0');
  await one.begin();
  await one.query('LOCK TABLE leases');
  await sleep(RECENTLY_MS);
  await other.begin();
  const waiting = other.query('LOCK TABLE leases');
  await sleep(RECENTLY_MS);
  expect(await giveWay(deps, PAGE_MS)).toBe(true);
  await one.rollback();
  await waiting;
});
