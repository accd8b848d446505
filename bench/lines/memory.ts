import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '../report.ts';
import { latencies, type Round } from '../rounds.ts';
import { haveMembers, hotPool, SPACES } from '../seed.ts';
import type { World } from '../world.ts';
import { claims } from './claim.ts';
import type { Line } from './line.ts';

const EVERY_MS = 1_000;
const RESIDENT = 'process_resident_memory_bytes';
const MEBIBYTE = 2 ** 20;
/** How much it may grow in the second half: less than a collection more or less makes. */
const MAX_GROWTH = 0.05;
/** Once they all have a code, the same claims go on for as long as one likes. */
const CLAIMING = 5_000;
const ROUND_SECONDS = 10;

type Sample = { seconds: number; bytes: number };

/** Growth along the straight line through the samples, from the first to the last. */
function growth(samples: Sample[]): { from: number; to: number } {
  const n = samples.length;
  const mean = (of: (one: Sample) => number) => samples.reduce((s, one) => s + of(one), 0) / n;
  const [x, y] = [mean((one) => one.seconds), mean((one) => one.bytes)];
  const up = mean((one) => (one.seconds - x) * (one.bytes - y));
  const slope = up / mean((one) => (one.seconds - x) ** 2);
  const at = (seconds: number) => y + slope * (seconds - x);
  return { from: at(samples[0]?.seconds ?? 0), to: at(samples.at(-1)?.seconds ?? 0) };
}

async function load(world: World, seconds: number): Promise<Round[]> {
  const poolId = await hotPool(world, 'ours');
  const values = { kind: 'members', from: SPACES.memory, of: CLAIMING } as const;
  const rounds: Round[] = [];
  for (let left = seconds; left > 0; left -= ROUND_SECONDS) {
    const length = Math.min(left, ROUND_SECONDS);
    rounds.push(await claims(world, { poolId, seconds: length, values }));
  }
  return rounds;
}

async function run(world: World): Promise<Result[]> {
  const { memorySeconds, form } = world.options;
  await haveMembers(world, { first: SPACES.memory, count: CLAIMING });
  const bar = world.progress('seconds of load', memorySeconds);
  const began = performance.now();
  const samples: Sample[] = [];
  let isOver = false;
  const loading = load(world, memorySeconds).finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const bytes = await world.api.metric(RESIDENT);
    samples.push({ seconds: (performance.now() - began) / 1000, bytes });
    bar.add(1);
    await sleep(EVERY_MS);
  }
  bar.end();
  const rounds = await loading;
  const { from, to } = growth(samples.filter(({ seconds }) => seconds > memorySeconds / 2));
  const isWhole = form === 'full';
  const short = isWhole ? '' : ' for ten minutes: --full';
  return [
    {
      operation: `memory of the API, MiB at the half and the end of ${memorySeconds} s`,
      ours: to / MEBIBYTE,
      baseline: from / MEBIBYTE,
      ratio: to / from,
      ...latencies(rounds),
      target: `<= ${1 + MAX_GROWTH} x${short}`,
      met: isWhole ? to / from <= 1 + MAX_GROWTH : null,
    },
  ];
}

export const memory: Line = {
  name: 'memory',
  about: 'whether the API process grows under load',
  run,
};
