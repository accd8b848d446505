/** The daily evaluation of tiers, on a day on which it is everybody's turn, and on one after it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProgramId } from '../../src/kernel/ids.ts';
import { createProgram } from '../../src/programs/index.ts';
import { advanceClock, runWorker } from '../../src/workers/index.ts';
import type { Result } from '../report.ts';
import { haveMembers, SPACES, settle } from '../seed.ts';
import type { World } from '../world.ts';
import type { Line } from './line.ts';
import { memoryLine, type Sample, sample } from './peaks.ts';

const MOST_SECONDS = 120;
/** Whatever the number of members: nothing is due for any of them. */
const MOST_IDLE_SECONDS = 1;
const DAY_MS = 86_400_000;
const EVERY_MS = 500;
const CHUNK = 100_000;
/** Of so many members one has points for no more than a grace. */
const ONE_FALLS_OF = 5;

type Crowd = { programId: ProgramId; first: number; count: number };

/**
 * Everybody is on the second rank, which needs 800 points: by two purchases, of 700 and of 300; of
 * every fifth member the second was refunded. The triggers judge one row at a time, and these rows
 * are right.
 */
async function climbed(world: World, { programId, first, count }: Crowd): Promise<void> {
  await haveMembers({ ...world, programId }, { first, count });
  const client = await world.sql.connect();
  try {
    for (let done = 0; done < count; done += CHUNK) {
      const values = [programId, first + done, Math.min(CHUNK, count - done)];
      await client.query('BEGIN');
      await client.query('SET LOCAL session_replication_role = replica');
      await client.query(PURCHASES, values);
      await client.query(RANKS, values);
      await client.query('COMMIT');
    }
  } finally {
    client.release();
  }
}

const MEMBER = `('00000000-0000-7000-8000-' || lpad(to_hex(m), 12, '0'))::uuid`;
const CROWD = 'generate_series($2::bigint, $2::bigint + $3::bigint - 1) m';

const PURCHASES = `
  INSERT INTO ledger_batches (program_id, id, member_id, source, order_id, generation, amount,
    requested, points, remaining, reversed, cancelled, refunded, day, earned_at, matures_at,
    created_at)
  SELECT $1, uuidv7(), ${MEMBER}, 'SHOPIFY', m || '-' || l.points, 1, l.points, l.points, l.points,
    l.points - l.back, l.back, l.back, l.back, a.at::date, a.at, a.at, a.at
  FROM ${CROWD},
    LATERAL (VALUES (700, 0), (300, CASE WHEN m % ${ONE_FALLS_OF} = 0 THEN 300 ELSE 0 END))
      l (points, back),
    LATERAL (SELECT now()
        - interval '1 day' * (m % 150 + CASE l.points WHEN 700 THEN 200 ELSE 1 END)
      AS at) a
  ORDER BY a.at`;

const RANKS = `
  UPDATE members SET tier_due = now()::date,
    tier_id = (SELECT id FROM tiers WHERE program_id = $1 AND rank = 2)
  WHERE program_id = $1 AND id IN (SELECT ${MEMBER} FROM ${CROWD})`;

async function sampled(work: () => Promise<void>): Promise<{ seconds: number; samples: Sample[] }> {
  const samples: Sample[] = [];
  const began = performance.now();
  const passed = () => (performance.now() - began) / 1_000;
  let isOver = false;
  const working = work().finally(() => {
    isOver = true;
  });
  while (!isOver) {
    samples.push(sample(passed()));
    await Promise.race([working, sleep(EVERY_MS)]);
  }
  await working;
  return { seconds: passed(), samples };
}

/** All of the next day's work, in seconds. */
async function idleDay({ deps, sql }: World, programId: ProgramId): Promise<number> {
  const changes = async () =>
    (await sql.query('SELECT count(*) FROM events WHERE program_id = $1', [programId])).rows;
  const to = new Date(deps.clock.now().getTime() + DAY_MS);
  const before = await changes();
  const began = performance.now();
  await advanceClock(deps, { programId, to });
  const seconds = (performance.now() - began) / 1_000;
  const [was, is] = [before, await changes()].map((rows) => rows[0]?.count);
  if (was !== is) throw new Error(`${was} events before an idle day, ${is} after it`);
  return seconds;
}

async function run(world: World): Promise<Result[]> {
  const count = world.options.evaluated;
  const input = { name: 'Ladder', currency: 'USD', timeZone: 'UTC', sandbox: true };
  const { program } = await createProgram(world.deps, { input });
  const programId = program.id as ProgramId;
  await climbed(world, { programId, first: SPACES.evaluated, count });
  await settle(world);
  const { seconds, samples } = await sampled(async () => {
    const done = await runWorker(world.deps, { programId, task: 'EVALUATE_TIERS' });
    if (done.scanned !== count || done.changed !== count / ONE_FALLS_OF)
      throw new Error(`${done.scanned} of ${count} were looked at, ${done.changed} changed`);
  });
  const idle = await idleDay(world, programId);
  const times = { p50: null, p99: null };
  const most = (MOST_SECONDS * count) / 1_000_000;
  return [
    {
      operation: `daily evaluation of ${count.toLocaleString('en')} members (s)`,
      ...{ ours: seconds, baseline: null, ratio: null, ...times },
      ...{ target: `<= ${most} s`, met: seconds <= most },
    },
    memoryLine('its memory', { samples, all: seconds }),
    {
      operation: 'the next day, due for none of them (s)',
      ...{ ours: idle, baseline: null, ratio: null, ...times },
      ...{ target: `<= ${MOST_IDLE_SECONDS} s`, met: idle <= MOST_IDLE_SECONDS },
    },
  ];
}

export const tiers: Line = {
  name: 'tiers',
  about: 'the daily evaluation of 1,000,000 members, all of whom are due',
  run,
};
