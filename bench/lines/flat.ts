/** How the cost of a claim grows: with the size of its pool, and with how much of it is gone. */
import type { PoolId } from '../../src/kernel/ids.ts';
import { alternate, latencies, medianRate, type Round, ratioOf, WARM_UPS } from '../rounds.ts';
import {
  activate,
  draftPool,
  drain,
  fill,
  generate,
  haveMembers,
  hotPool,
  refill,
  SPACES,
  settle,
  tidy,
} from '../seed.ts';
import type { World } from '../world.ts';
import { claims } from './claim.ts';
import { flatness, type Line } from './line.ts';

const MOST_CLAIMS = 5_000;
const CLAIMS_OF_A_SHARE = 1_500;

/** In a round: few enough that the lines before and after leave codes in the hot pool. */
const claimsOf = ({ options }: World) => Math.min(MOST_CLAIMS, options.hotCodes / 100);

// Each of these members claims once, from whatever pool.
let used = 0;

async function claimSome(world: World, of: { poolId: PoolId; count: number }): Promise<Round> {
  const { poolId, count } = of;
  const from = SPACES.flat + used;
  used += count;
  await haveMembers(world, { first: SPACES.flat, count: used });
  return claims(world, { poolId, count, values: { kind: 'members', from } });
}

const titled = (count: number) => count.toLocaleString('en');

async function filledPool(world: World, count: number): Promise<PoolId> {
  const poolId = await draftPool(world, `Pool of ${titled(count)}`);
  await generate(world, { poolId, count });
  await activate(world, poolId);
  return poolId;
}

/** The smallest would be empty after two rounds: it gets a new pool for each. */
async function poolsFor(world: World, size: number): Promise<() => PoolId> {
  const rounds = world.options.rounds + WARM_UPS;
  if (size === world.options.hotCodes) {
    const poolId = await hotPool(world, 'ours');
    return () => poolId;
  }
  const each = Math.floor(size / 2 / claimsOf(world));
  const pools: PoolId[] = [];
  while (pools.length * each < rounds) pools.push(await filledPool(world, size));
  let round = 0;
  return () => pools[Math.floor(round++ / each)] as PoolId;
}

export const sizes: Line = {
  name: 'sizes',
  about: 'claims from pools of 10,000, 100,000 and 1,000,000 codes',
  run: async (world) => {
    const sides: Record<string, () => Promise<Round>> = {};
    for (const size of world.options.sizes) {
      const next = await poolsFor(world, size);
      sides[titled(size)] = () => claimSome(world, { poolId: next(), count: claimsOf(world) });
    }
    await settle(world);
    const { rounds } = world.options;
    const measured = await alternate(sides, {
      rounds,
      between: () => tidy(world),
      say: world.say,
    });
    return flatness(measured, (size) => `claim, pool of ${size} codes`);
  },
};

/** What is gone was claimed in bulk; what is left are codes that the API can give out. */
async function drainedPool(world: World, percent: number): Promise<PoolId> {
  const poolId = await draftPool(world, `Drained to ${percent} %`);
  const gone = Math.round((world.options.drainedCodes * percent) / 100);
  await fill(world, { poolId, count: gone, space: `drained-${percent}-` });
  await generate(world, { poolId, count: world.options.drainedCodes - gone });
  await activate(world, poolId);
  await drain(world, { poolId, count: gone });
  return poolId;
}

export const drained: Line = {
  name: 'drained',
  about: 'claims from a pool of which 1 %, 50 % and 99 % are gone',
  run: async (world) => {
    const count = Math.min(CLAIMS_OF_A_SHARE, Math.floor(world.options.drainedCodes / 200));
    const sides: Record<string, () => Promise<Round>> = {};
    for (const percent of [1, 50, 99]) {
      const poolId = await drainedPool(world, percent);
      sides[`${percent} %`] = async () => {
        const round = await claimSome(world, { poolId, count });
        await refill(world, { poolId, count }); // the share stays what it is
        return round;
      };
    }
    await settle(world);
    const rounds = 2 * world.options.rounds; // they are short
    const measured = await alternate(sides, { rounds, say: world.say });
    const of = titled(world.options.drainedCodes);
    return flatness(measured, (share) => `claim, ${share} of ${of} gone`);
  },
};

/** Claims while somebody's report holds a snapshot: no dead row can be removed meanwhile. */
async function underSnapshot(world: World, work: () => Promise<Round>): Promise<Round> {
  const reader = await world.sql.connect();
  try {
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await reader.query('SELECT count(*) FROM pools');
    return await work();
  } finally {
    await reader.query('COMMIT');
    reader.release();
  }
}

export const snapshot: Line = {
  name: 'snapshot',
  about: 'claims while a REPEATABLE READ snapshot is held open',
  run: async (world) => {
    const poolId = await hotPool(world, 'ours');
    await settle(world);
    // The first half leaves dead rows behind, the second half is measured.
    const work = async () => {
      await claimSome(world, { poolId, count: claimsOf(world) });
      return claimSome(world, { poolId, count: claimsOf(world) });
    };
    const sides = { held: () => underSnapshot(world, work), none: work };
    const { rounds } = world.options;
    const measured = await alternate(sides, {
      rounds,
      between: () => tidy(world),
      say: world.say,
    });
    const { ratio, interval } = ratioOf(measured.held, measured.none);
    return [
      {
        operation: 'claim, a snapshot held open',
        ours: medianRate(measured.held),
        baseline: medianRate(measured.none),
        ratio,
        interval,
        ...latencies(measured.held),
        target: '>= 0.5 x without one',
        met: ratio >= 0.5,
      },
    ];
  },
};
