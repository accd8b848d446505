import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { ProgramId } from '../../src/kernel/ids.ts';
import { type Lease, leaseEnd, takeLease } from '../../src/kernel/lease.ts';
import { testDeps } from '../support/database.ts';
import { aProgram } from '../support/factories.ts';
import { until } from '../support/until.ts';

const SECOND = 1_000;
let now = Date.parse('2031-01-01T00:00:00Z');
const deps = await testDeps({ clock: { now: () => new Date(now) } });
const name = 'work';
let programId: ProgramId;
beforeAll(async () => {
  ({ programId } = await aProgram(deps));
});
afterEach(async () => {
  vi.useRealTimers();
  await deps.db.lease.deleteMany();
});

const take = () => takeLease(deps, { programId, name });
const taken = async () => (await take()) as Lease;

test('one has it, others are told at once, and the next has it when it is released', async () => {
  const first = await taken();
  expect(await take()).toBeUndefined();
  expect(await takeLease(deps, { programId, name: 'other' })).toBeDefined();
  await first.release();
  expect(await take()).toBeDefined();
});

test('of twenty who want it at one moment, one has it', async () => {
  const leases = await Promise.all(Array.from({ length: 20 }, take));
  expect(leases.filter(Boolean).length).toBe(1);
});

test('a holder who is silent for twenty seconds has lost it, and knows', async () => {
  const first = await taken();
  expect(await leaseEnd(deps, { programId, name })).toEqual(new Date(now + 20 * SECOND));
  now += 20 * SECOND - 1;
  expect([first.isHeld(), await take()]).toEqual([true, undefined]);
  now += 1;
  expect(first.isHeld()).toBe(false);
  const second = await taken();
  expect(second.isHeld()).toBe(true);
  await first.release();
  expect(await take()).toBeUndefined();
});

/** The next time at which a holder says that it is there; the answer is waited for. */
async function fiveSecondsLater() {
  now += 5 * SECOND;
  vi.advanceTimersByTime(5 * SECOND);
  const end = now + 20 * SECOND;
  await until(async () => (await leaseEnd(deps, { programId, name }))?.getTime() === end);
}

test('a holder who is there keeps it; one who was overtaken does not take it back', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const first = await taken();
  for (let n = 0; n < 8; n++) await fiveSecondsLater();
  expect([first.isHeld(), await take()]).toEqual([true, undefined]);
  now += 20 * SECOND;
  const second = await taken();
  await fiveSecondsLater();
  await new Promise((resolve) => setTimeout(resolve, 100)); // the first one's answer
  expect([first.isHeld(), second.isHeld()]).toEqual([false, true]);
  await first.release();
  await second.release();
  expect(await leaseEnd(deps, { programId, name })).toBeUndefined();
});
