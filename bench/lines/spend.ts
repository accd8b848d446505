import type { Measured, Values } from '../load/job.ts';
import { runPgbench } from '../pgbench.ts';
import { alternate, type Round } from '../rounds.ts';
import { haveMembers, SPACES, settle, tidyLedger } from '../seed.ts';
import { giveLots } from '../seed-points.ts';
import { CONNECTIONS, type World } from '../world.ts';
import { compared, type Line } from './line.ts';

const SPEND = `mutation Spend($input: SpendPointsInput!) {
  spendPoints(input: $input) {
    __typename
    ... on SpendPointsSuccess { alreadySpent spend { id points } }
    ... on Refusal { reason message }
  }
}`;
const LOTS = 5;
const POINTS = 10 * LOTS;
// More than one process answers in a second, on any machine.
const MOST_A_SECOND = 6_000;

type Spends = { points: number; key: string; values: Values; seconds?: number; count?: number };

/** One round of spends through the whole stack. */
export function spends(world: World, { points, key, ...round }: Spends): Promise<Measured> {
  const input = { memberId: '@', points, idempotencyKey: `${key}-#` };
  return world.load.run({
    port: world.api.port,
    secretKey: world.secretKey,
    connections: CONNECTIONS,
    body: JSON.stringify({ query: SPEND, variables: { input } }),
    expect: '"alreadySpent":false',
    ...round,
  });
}

type Side = { name: string; first: number; made: number; used: number };

/** Members with five lots each, as many as a round may need; not part of what is measured. */
async function stock(world: World, side: Side): Promise<void> {
  const count = side.used + MOST_A_SECOND * world.options.secondsPerRound;
  await haveMembers(world, { first: side.first, count });
  const { programId } = world;
  const members = count - side.made;
  await giveLots(world, {
    ...{ programId, first: side.first + side.made, members },
    ...{ gone: 0, open: LOTS },
  });
  side.made = count;
  await tidyLedger(world);
}

async function spendsOfFive(world: World, side: Side): Promise<Round> {
  await stock(world, side);
  const seconds = world.options.secondsPerRound;
  const values = { kind: 'members', from: side.first + side.used } as const;
  const key = `five-${side.used}`;
  const measured = await spends(world, { points: POINTS, key, seconds, values });
  side.used += measured.issued;
  return measured;
}

async function bareSpends(world: World, side: Side): Promise<Round> {
  await stock(world, side);
  const { pgbench, databaseUrl, programId, options } = world;
  const bench = { program: pgbench as string, databaseUrl };
  const seconds = options.secondsPerRound;
  const variables = { i: -1, first: side.first + side.used, program: programId };
  const round = await runPgbench(bench, { name: 'spend', seconds, variables });
  side.used = await highestOf(world, side);
  return round;
}

/** How far the clients have counted; they do not keep step. */
async function highestOf({ sql, programId }: World, side: Side): Promise<number> {
  const { rows } = await sql.query<{ last: string }>(
    `SELECT max(substr(idempotency_key, 6)::bigint) AS last FROM spends
     WHERE program_id = $1 AND idempotency_key LIKE 'bare-%'`,
    [programId],
  );
  return Number(rows[0]?.last) - side.first + 1;
}

export const spend: Line = {
  name: 'spend',
  about: 'over five lots each, distinct members, against pgbench running the same writes',
  run: async (world) => {
    const ours = { name: 'ours', first: SPACES.spends, made: 0, used: 0 };
    const bare = { name: 'pgbench', first: SPACES.bareSpends, made: 0, used: 0 };
    await settle(world);
    const sides = {
      ours: () => spendsOfFive(world, ours),
      ...(world.pgbench && { pgbench: () => bareSpends(world, bare) }),
    } as Record<'ours' | 'pgbench', () => Promise<Round>>;
    const measured = await alternate(sides, { rounds: world.options.rounds, say: world.say });
    const rounds = { ours: measured.ours, baseline: measured.pgbench };
    return [compared('spend over 5 lots', { ...rounds, atLeast: 0.7, than: 'pgbench' })];
  },
};
