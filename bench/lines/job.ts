import { setTimeout as sleep } from 'node:timers/promises';
import { startWorkers } from '../../src/workers/index.ts';
import type { Result } from '../report.ts';
import { draftPool, settle } from '../seed.ts';
import type { World } from '../world.ts';
import type { Line } from './line.ts';
import { memoryLine, type Sample, sample } from './peaks.ts';

const EVERY_MS = 500;
/** For a million. */
const SECONDS = 90;
const MILLION = 1_000_000;

const START = `mutation Start($poolId: ID!, $count: Int!) {
  generateCodesJob(poolId: $poolId, count: $count) { id }
}`;
const PROGRESS = 'query Progress($id: ID!) { codeJob(id: $id) { done status } }';

type Job = { codeJob: { done: number; status: string } };

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
    samples.push(sample(codeJob.done));
    if (codeJob.status === 'SEALED') break;
    if (codeJob.status !== 'RUNNING') throw new Error(`the job is ${codeJob.status}`);
    await sleep(EVERY_MS);
  }
  bar.end();
  return samples;
}

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
    const limit = (SECONDS * count) / MILLION;
    const common = { p50: null, p99: null };
    return [
      {
        ...{ ...common, operation: `job of ${count.toLocaleString('en')} codes, seconds` },
        ...{ ours: seconds, baseline: null, ratio: null },
        ...{ target: `< ${limit} s`, met: seconds < limit },
      },
      memoryLine('memory of its process', { samples, all: count }),
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
