import type { Measured, Values } from '../load/job.ts';
import { runPgbench } from '../pgbench.ts';
import { alternate, type Round } from '../rounds.ts';
import { haveMembers, hotPool, SPACES, settle, tidy } from '../seed.ts';
import { CONNECTIONS, type World } from '../world.ts';
import { compared, type Line } from './line.ts';

const CLAIM = `mutation Claim($input: ClaimCodeInput!) {
  claimCode(input: $input) {
    __typename
    ... on ClaimCodeSuccess { alreadyClaimed plaintext code { id masked } }
    ... on Refusal { reason message }
  }
}`;
// More than one process answers in a second, on any machine.
const MOST_A_SECOND = 20_000;

type Claims = { poolId: string; values: Values; seconds?: number; count?: number };

/** One round of claims through the whole stack. */
export function claims(world: World, { poolId, ...round }: Claims): Promise<Measured> {
  const body = { query: CLAIM, variables: { input: { poolId, memberId: '@' } } };
  return world.load.run({
    port: world.api.port,
    secretKey: world.secretKey,
    connections: CONNECTIONS,
    body: JSON.stringify(body),
    expect: '"__typename":"ClaimCodeSuccess"',
    ...round,
  });
}

// Of each side: how many of its members have claimed from the hot pools.
const used = { ours: 0, bare: 0 };

/** Members who have not claimed yet, until the time is over. */
export async function distinctClaims(world: World): Promise<Round> {
  const seconds = world.options.secondsPerRound;
  const poolId = await hotPool(world, 'ours');
  const from = SPACES.ours + used.ours;
  const most = MOST_A_SECOND * seconds;
  await haveMembers(world, { first: SPACES.ours, count: used.ours + most });
  const measured = await claims(world, {
    poolId,
    seconds,
    values: { kind: 'members', from, most },
  });
  used.ours += measured.issued;
  return measured;
}

async function bareClaims(world: World, program: string): Promise<Round> {
  const { databaseUrl, programId, options } = world;
  const seconds = options.secondsPerRound;
  const pool = await hotPool(world, 'bare');
  await haveMembers(world, { first: SPACES.bare, count: used.bare + MOST_A_SECOND * seconds });
  const first = SPACES.bare + used.bare;
  const variables = { i: -1, first, program: programId, pool };
  const round = await runPgbench({ program, databaseUrl }, { name: 'claim', seconds, variables });
  used.bare = await highestOf(world, pool);
  return round;
}

/** How far the clients have counted; they do not keep step. */
async function highestOf({ sql, programId }: World, pool: string): Promise<number> {
  const { rows } = await sql.query<{ last: string }>(
    'SELECT max(claimant) AS last FROM claims WHERE program_id = $1 AND pool_id = $2',
    [programId, pool],
  );
  return Number.parseInt(rows[0]?.last.slice(-12) ?? '', 16) - SPACES.bare + 1;
}

export const claim: Line = {
  name: 'claim',
  about: 'distinct members, one hot pool, against pgbench',
  run: async (world) => {
    const { pgbench, options } = world;
    await hotPool(world, 'ours');
    if (pgbench) await hotPool(world, 'bare');
    await settle(world);
    const sides = {
      ours: () => distinctClaims(world),
      ...(pgbench && { pgbench: () => bareClaims(world, pgbench) }),
    } as Record<'ours' | 'pgbench', () => Promise<Round>>;
    const plan = { rounds: options.rounds, between: () => tidy(world), say: world.say };
    const { ours, pgbench: baseline } = await alternate(sides, plan);
    const than = 'pgbench';
    return [compared('claim, distinct members', { ours, baseline, atLeast: 1.3, than })];
  },
};

const TAPPING = 10;

export const taps: Line = {
  name: 'taps',
  about: 'the same 10 members over and over (double taps), against distinct members',
  run: async (world) => {
    const { rounds, secondsPerRound: seconds } = world.options;
    const poolId = await hotPool(world, 'ours');
    await haveMembers(world, { first: SPACES.taps, count: TAPPING });
    await settle(world);
    const values = { kind: 'members', from: SPACES.taps, of: TAPPING } as const;
    const sides = {
      taps: () => claims(world, { poolId, seconds, values }),
      distinct: () => distinctClaims(world),
    };
    const measured = await alternate(sides, {
      rounds,
      between: () => tidy(world),
      say: world.say,
    });
    const { taps: ours, distinct: baseline } = measured;
    const than = 'distinct members';
    return [compared('claim, 10 members tapping', { ours, baseline, atLeast: 1.3, than })];
  },
};
