import { activatePool, claimCode } from '../../src/coupons/index.ts';
import type { MemberId, PoolId } from '../../src/kernel/ids.ts';
import { type Result, unmeasured } from '../report.ts';
import { draftPool, generate, haveMembers, memberId, SPACES } from '../seed.ts';
import { countStatements, track } from '../statements.ts';
import type { World } from '../world.ts';
import type { Line } from './line.ts';

const SIZES = [1, 50] as const;
const REPEATS = 21;

const POOLS = `query Pools($first: Int!) {
  pools(first: $first) {
    nodes {
      id name status stats { generated available allocated redeemed revoked } minTier { name }
    }
    pageInfo { hasNextPage endCursor }
  }
}`;
const WALLET = `query Wallet($id: ID!) {
  member(id: $id) {
    id
    tier { name }
    wallet { id masked status pool { name stackable } redemption { orderId } }
  }
}`;

/** A program of 50 pools; one member holds a code of the first, and one a code of each. */
async function furnish(world: World): Promise<MemberId[]> {
  const { deps, programId } = world;
  const members = SIZES.map((_, i) => memberId(SPACES.memory + i) as MemberId);
  await haveMembers(world, { first: SPACES.memory, count: members.length });
  for (let i = 0; i < 50; i++) {
    const poolId: PoolId = await draftPool(world, `Shelf ${i + 1}`);
    await generate({ ...world, progress: silent }, { poolId, count: 10 });
    await activatePool(deps, { programId, poolId });
    for (const [index, id] of members.entries())
      if (i < (SIZES[index] as number))
        await claimCode(deps, { programId, poolId, memberId: id, actor: 'key:bench' });
  }
  return members;
}

const silent = () => ({ add: () => {}, end: () => {} });

type Asked = { query: string; variables: unknown };

const titled = (operation: string) => `${operation} (statements of ${SIZES[1]}, of ${SIZES[0]})`;
const TARGET = 'the same number';
const [POOL_LIST, WALLET_LIST] = ['pools with stats', 'wallet'];

async function count(world: World, operation: string, asked: Asked[]): Promise<Result> {
  const { api, secretKey, sql } = world;
  const ask = (one: Asked) => api.query(secretKey, one);
  for (const one of asked) await ask(one); // what is once a minute, or once a document
  const counts: number[] = [];
  for (const one of asked) counts.push(await countStatements(sql, () => ask(one)));
  const times: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    const began = performance.now();
    await ask(asked.at(-1) as Asked);
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  const [few = Number.NaN, many = Number.NaN] = counts;
  return {
    operation: titled(operation),
    ours: many,
    baseline: few,
    ratio: many / few,
    p50: times[REPEATS >> 1] ?? null,
    p99: times.at(-1) ?? null,
    target: TARGET,
    met: few > 0 && many === few,
  };
}

export const lists: Line = {
  name: 'lists',
  about: 'SQL statements behind a list of pools and a wallet, of 1 and of 50',
  run: async (world) => {
    if (!world.countsStatements) {
      const target = `${TARGET}, but pg_stat_statements is missing here`;
      return [POOL_LIST, WALLET_LIST].map((list) => unmeasured(titled(list), target));
    }
    const members = await furnish(world);
    await track(world.sql, 'top');
    try {
      const pools = SIZES.map((first) => ({ query: POOLS, variables: { first } }));
      const wallets = members.map((id) => ({ query: WALLET, variables: { id } }));
      return [await count(world, POOL_LIST, pools), await count(world, WALLET_LIST, wallets)];
    } finally {
      await track(world.sql, 'none');
    }
  },
};
