import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { startWorkers } from '../../src/workers/index.ts';
import type { Result } from '../report.ts';
import { draftPool, settle } from '../seed.ts';
import type { World } from '../world.ts';
import type { Line } from './line.ts';

const EVERY_MS = 500;
const MEBIBYTE = 2 ** 20;
/** For a million. */
const SECONDS = 90;
const MILLION = 1_000_000;
/** A collection more or less; two batches of codes are a few MiB. */
const MAX_GROWTH = 1.1;

const START = `mutation Start($poolId: ID!, $count: Int!) {
  generateCodesJob(poolId: $poolId, count: $count) { id }
}`;
const PROGRESS = 'query Progress($id: ID!) { codeJob(id: $id) { done status } }';

type Job = { codeJob: { done: number; status: string } };
type Sample = { done: number; bytes: number };

/** What the process that generates takes while it does, until the job is sealed. */
async function watch(world: World, of: { id: string; count: number }): Promise<Sample[]> {
  const { api, secretKey } = world;
  const bar = world.progress('codes of the job', of.count);
  const samples: Sample[] = [];
  for (;;) {
    const { codeJob } = await api.query<Job>(secretKey, {
      query: PROGRESS,
      variables: { id: of.id },
    });
    bar.add(codeJob.done - (samples.at(-1)?.done ?? 0));
    samples.push({ done: codeJob.done, bytes: process.memoryUsage.rss() });
    if (codeJob.status === 'SEALED') break;
    if (codeJob.status !== 'RUNNING') throw new Error(`the job is ${codeJob.status}`);
    await sleep(EVERY_MS);
  }
  bar.end();
  return samples;
}

/** The most that it took in a part of the job, in MiB. */
const peak = (samples: Sample[], from: number, to: number): number =>
  Math.max(
    ...samples
      .filter(({ done }) => done >= from && done <= to)
      .map(({ bytes }) => bytes / MEBIBYTE),
  );

async function run(world: World): Promise<Result[]> {
  const { api, secretKey, options } = world;
  const count = options.sizes.at(-1) as number;
  const poolId = await draftPool(world, 'Million');
  await settle(world);
  const workers = await startWorkers(world.deps);
  try {
    const began = performance.now();
    const variables = { poolId, count };
    const { generateCodesJob } = await api.query<{ generateCodesJob: { id: string } }>(secretKey, {
      query: START,
      variables,
    });
    const samples = await watch(world, { id: generateCodesJob.id, count });
    const seconds = (performance.now() - began) / 1000;
    const [early, late] = [peak(samples, count / 4, count / 2), peak(samples, count / 2, count)];
    const limit = (SECONDS * count) / MILLION;
    const common = { p50: null, p99: null };
    return [
      {
        ...{ ...common, operation: `job of ${count.toLocaleString('en')} codes, seconds` },
        ...{ ours: seconds, baseline: null, ratio: null },
        ...{ target: `< ${limit} s`, met: seconds < limit },
      },
      {
        ...{ ...common, operation: 'memory of its process, MiB at most, second half to quarter' },
        ...{ ours: late, baseline: early, ratio: late / early },
        ...{ target: `<= ${MAX_GROWTH} x`, met: late / early <= MAX_GROWTH },
      },
    ];
  } finally {
    await workers.stop();
  }
}

export const job: Line = {
  name: 'job',
  about: 'a million codes in the background: how long, and in how much memory',
  run,
};
