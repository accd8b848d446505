import { openCode } from '../../src/coupons/vault.ts';
import type { PoolId } from '../../src/kernel/ids.ts';
import { runPgbench } from '../pgbench.ts';
import { alternate, type Round } from '../rounds.ts';
import { activate, draftPool, drain, fill, generate, refill, settle, tidy } from '../seed.ts';
import { CONNECTIONS, type World } from '../world.ts';
import { compared, type Line } from './line.ts';

const REDEEM = `mutation Redeem($input: RedeemCodeInput!) {
  redeemCode(input: $input) {
    __typename
    ... on RedeemCodeSuccess { alreadyRedeemed redemption { id discountAmount } code { id masked } }
    ... on Refusal { reason message }
  }
}`;
const SPACE = 'redeem-';
/** Codes that are made before a round, for each second of it: more than are redeemed. */
const EACH_SECOND = 12_000;

type Side = { poolId: PoolId; made: number; used: number };

/** Codes with owners, as many as a round may need; not part of what is measured. */
async function stock(world: World, side: Side & { bare: boolean }): Promise<number> {
  const wanted = side.used + EACH_SECOND * world.options.secondsPerRound - side.made;
  if (wanted <= 0) return 0;
  const { poolId } = side;
  const isNew = side.made === 0;
  if (side.bare) await fillMore(world, { ...side, count: wanted, isNew });
  else if (isNew) await generate(world, { poolId, count: wanted });
  else await refill(world, { poolId, count: wanted });
  if (isNew) await activate(world, poolId);
  await drain(world, { poolId, count: wanted });
  return wanted;
}

type More = { poolId: PoolId; made: number; count: number; isNew: boolean };

async function fillMore(world: World, { poolId, made, count, isNew }: More): Promise<void> {
  const { deps, programId } = world;
  const { pausePool, resumePool } = await import('../../src/coupons/index.ts');
  if (!isNew) await pausePool(deps, { programId, poolId });
  await fill(world, { poolId, count, space: SPACE, from: made });
  if (!isNew) await resumePool(deps, { programId, poolId });
}

/** The texts of codes that can be redeemed, as their holders were told them. */
async function texts(world: World, poolId: PoolId, count: number): Promise<string[]> {
  const codes = await world.deps.db.code.findMany({
    where: { programId: world.programId, poolId, status: 'ALLOCATED' },
    take: count,
  });
  return codes.map((code) => openCode(world.deps, code));
}

async function redemptions(world: World, side: Side): Promise<Round> {
  const seconds = world.options.secondsPerRound;
  side.made += await stock(world, { ...side, bare: false });
  const list = await texts(world, side.poolId, EACH_SECOND * seconds);
  await tidy(world);
  const input = { code: '@', orderId: 'order-@', orderAmount: 5_000 };
  const measured = await world.load.run({
    port: world.api.port,
    secretKey: world.secretKey,
    connections: CONNECTIONS,
    body: JSON.stringify({ query: REDEEM, variables: { input } }),
    values: { kind: 'list', list },
    expect: '"__typename":"RedeemCodeSuccess"',
    seconds,
  });
  side.used += measured.issued;
  return measured;
}

async function bareRedemptions(world: World, side: Side): Promise<Round> {
  const { pgbench, databaseUrl, programId, options } = world;
  side.made += await stock(world, { ...side, bare: true });
  await tidy(world);
  const round = await runPgbench(
    { program: pgbench as string, databaseUrl },
    {
      name: 'redeem',
      seconds: options.secondsPerRound,
      variables: { i: -1, first: side.used, program: programId, space: SPACE },
    },
  );
  side.used = await highestOf(world);
  return round;
}

async function highestOf({ sql, programId }: World): Promise<number> {
  const { rows } = await sql.query<{ last: number }>(
    `SELECT max(substr(order_id, 6)::int) AS last FROM redemptions
     WHERE program_id = $1 AND order_id LIKE 'bare-%'`,
    [programId],
  );
  return (rows[0]?.last ?? -1) + 1;
}

export const redeem: Line = {
  name: 'redeem',
  about: 'distinct codes, each on an order of its own, against pgbench',
  run: async (world) => {
    const side = async (name: string): Promise<Side> => {
      return { poolId: await draftPool(world, name), made: 0, used: 0 };
    };
    const ours = await side('Redeemed');
    const bare = await side('Redeemed bare');
    await settle(world);
    const sides = {
      ours: () => redemptions(world, ours),
      ...(world.pgbench && { pgbench: () => bareRedemptions(world, bare) }),
    } as Record<'ours' | 'pgbench', () => Promise<Round>>;
    const measured = await alternate(sides, { rounds: world.options.rounds, say: world.say });
    const than = 'pgbench';
    const rounds = { ours: measured.ours, baseline: measured.pgbench, atLeast: 1, than };
    return [compared('redeem, distinct codes', rounds)];
  },
};
