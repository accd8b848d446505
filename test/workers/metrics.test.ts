import { expect, test } from 'vitest';
import { retryFailures } from '../../src/workers/daily-work.ts';
import { advanceClock, startWorkers } from '../../src/workers/index.ts';
import { startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { everythingDue } from '../support/everything-due.ts';
import { poison } from '../support/poison.ts';
import { until } from '../support/until.ts';

const deps = await testDeps();

test('the fleet is counted: runs, failures, the queue and its oldest job', async () => {
  const api = await startApi(deps);
  const numbers = async () => {
    const text = await (await fetch(`${api.url}/metrics`)).text();
    return (line: string) => {
      const found = text.split('\n').find((one) => one.startsWith(`${line} `));
      return found === undefined ? undefined : Number(found.split(' ')[1]);
    };
  };
  const before = await numbers();
  expect(before('flash_queue_jobs')).toBe(0);
  expect(before('flash_worker_open_failures{task="BIRTHDAY_BONUS"}')).toBeUndefined();
  await (await startWorkers(deps)).stop();
  await deps.db.$executeRaw`DELETE FROM graphile_worker._private_jobs`;
  for (const seconds of [-90, 90])
    await deps.db.$executeRaw`
      SELECT FROM graphile_worker.add_job('nobody_knows',
        run_at := ${new Date(Date.now() + seconds * 1_000)})`;
  const { programId, members, start } = await everythingDue(deps, { day: '2021-03-05', count: 3 });
  const repair = await poison(deps, { task: 'BIRTHDAY_BONUS', memberId: members[0] as string });
  await advanceClock(deps, { programId, to: start });
  const after = await numbers();
  expect(after('flash_worker_runs_total{task="EXPIRE_POINTS"}')).toBe(1);
  expect(after('flash_worker_changed_total{task="EXPIRE_POINTS"}')).toBe(3);
  expect(after('flash_worker_run_seconds_count{task="EXPIRE_POINTS"}')).toBe(1);
  expect(after('flash_worker_changed_total{task="BIRTHDAY_BONUS"}')).toBe(2);
  expect(after('flash_worker_failures_total{task="BIRTHDAY_BONUS"}')).toBe(1);
  expect(after('flash_worker_open_failures{task="BIRTHDAY_BONUS"}')).toBe(1);
  expect(after('flash_queue_jobs')).toBe(1);
  expect(after('flash_queue_oldest_job_seconds')).toBeGreaterThan(89);
  expect(after('flash_queue_oldest_job_seconds')).toBeLessThan(150);
  // The fleet's own attempts are counted as well: one that fails, one that finds nobody due, and
  // one that succeeds.
  const retry = () => retryFailures(deps, { programId, mayGoOn: () => {} });
  const bringForward = () =>
    deps.db.workerFailure.updateMany({
      where: { programId },
      data: { nextAttemptAt: new Date(0) },
    });
  await bringForward();
  await retry();
  await retry();
  await repair();
  await bringForward();
  await retry();
  const last = await numbers();
  expect(last('flash_worker_failures_total{task="BIRTHDAY_BONUS"}')).toBe(2);
  expect(last('flash_worker_changed_total{task="BIRTHDAY_BONUS"}')).toBe(3);
  expect(last('flash_worker_runs_total{task="BIRTHDAY_BONUS"}')).toBe(3);
  expect(last('flash_worker_runs_total{task="EXPIRE_POINTS"}')).toBe(1);
});

test('each job of the queue is counted by how it ended', async () => {
  const workers = await startWorkers(deps);
  await deps.db.$executeRaw`SELECT FROM graphile_worker.add_job('work_program', '{}'::json)`;
  const line = (of: string) => `flash_worker_jobs_total{${of}} `;
  const hasRun = async (of: string) => (await deps.metrics.metrics()).includes(line(of));
  await until(() => hasRun('job="work_program",outcome="failed"'));
  await until(() => hasRun('job="wake_programs",outcome="done"'));
  await workers.stop();
});
