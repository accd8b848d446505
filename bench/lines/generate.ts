import { randomBytes } from 'node:crypto';
import type { PoolId } from '../../src/kernel/ids.ts';
import { newIds } from '../../src/kernel/ids.ts';
import { alternate, medianRate, type Round } from '../rounds.ts';
import { draftPool, settle } from '../seed.ts';
import type { World } from '../world.ts';
import { compared, type Line } from './line.ts';

const COUNT = 5_000;
const BATCHES_PER_ROUND = 4;
const AT_LEAST = 20_000;
const GENERATE = `mutation Generate($poolId: ID!, $count: Int!) {
  generateCodes(poolId: $poolId, count: $count) { id count }
}`;

type Rows = { ids: string[]; ciphertexts: Buffer[]; hashes: Buffer[]; masks: string[] };

/** Rows of the same sizes as generated ones, made before the clock runs. */
function someRows(world: World): Rows {
  const repeat = <T>(make: () => T) => Array.from({ length: COUNT }, make);
  return {
    ids: newIds(world.deps, COUNT),
    ciphertexts: repeat(() => randomBytes(51)),
    hashes: repeat(() => randomBytes(32)),
    masks: repeat(() => 'PCT-••••2A'),
  };
}

/** One INSERT that commits: the rows, and the batch that the foreign key wants. */
async function insert({ sql, programId }: World, { poolId, rows }: { poolId: string; rows: Rows }) {
  await sql.query(
    `WITH batch AS (
       INSERT INTO code_batches (program_id, id, pool_id, count, created_at)
       VALUES ($1, uuidv7(), $2, ${COUNT}, now()) RETURNING id)
     INSERT INTO codes (program_id, id, pool_id, batch_id, ciphertext, key_id, lookup_hash,
       lookup_key_id, masked, status)
     SELECT $1, c.id, $2, batch.id, c.ciphertext, 'k1', c.hash, 'k1', c.masked, 'AVAILABLE'
     FROM batch, unnest($3::uuid[], $4::bytea[], $5::bytea[], $6::text[])
       AS c(id, ciphertext, hash, masked)`,
    [programId, poolId, rows.ids, rows.ciphertexts, rows.hashes, rows.masks],
  );
}

async function timed(prepare: () => Promise<() => Promise<unknown>>): Promise<Round> {
  const times: number[] = [];
  for (let i = 0; i < BATCHES_PER_ROUND; i++) {
    const work = await prepare();
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  }
  const total = times.reduce((sum, time) => sum + time, 0);
  times.sort((a, b) => a - b);
  const [p50, p99] = [times[times.length >> 1] as number, times.at(-1) as number];
  return { rate: (COUNT * times.length * 1000) / total, p50, p99 };
}

async function run(world: World) {
  const { api, secretKey } = world;
  const pools = { ours: await draftPool(world, 'Made'), bare: await draftPool(world, 'Inserted') };
  await settle(world);
  const variables = (poolId: PoolId) => ({ poolId, count: COUNT });
  const sides = {
    ours: () =>
      timed(async () => {
        const asked = { query: GENERATE, variables: variables(pools.ours) };
        return () => api.query(secretKey, asked);
      }),
    insert: () =>
      timed(async () => {
        const rows = someRows(world);
        return () => insert(world, { poolId: pools.bare, rows });
      }),
  };
  const { rounds } = world.options;
  const { ours, insert: baseline } = await alternate(sides, { rounds, say: world.say });
  const line = compared('generate 5,000 codes (codes/s)', {
    ours,
    baseline,
    atLeast: 0.5,
    than: 'a bare INSERT (twice its time)',
  });
  const rate = medianRate(ours);
  const target = `>= ${AT_LEAST.toLocaleString('en')} codes/s`;
  const alone = { baseline: null, ratio: null, target, met: rate >= AT_LEAST };
  const { interval: _, ...rest } = line;
  return [line, { ...rest, operation: 'generate, codes a second', ...alone }];
}

export const generating: Line = {
  name: 'generate',
  about: 'batches of 5,000 codes through the API, against a bare INSERT of such rows',
  run,
};
