import type { Measured, Values } from '../load/job.ts';
import { runPgbench } from '../pgbench.ts';
import { alternate, type Round } from '../rounds.ts';
import { haveMembers, SPACES, settle, tidyLedger } from '../seed.ts';
import { CONNECTIONS, type World } from '../world.ts';
import { compared, type Line } from './line.ts';

const AWARD = `mutation Award($input: AwardPointsInput!) {
  awardPoints(input: $input) {
    __typename
    ... on AwardPointsSuccess { alreadyAwarded capped batch { id points expiresAt } }
    ... on Refusal { reason message }
  }
}`;
// More than one process answers in a second, on any machine.
const MOST_A_SECOND = 8_000;

type Awards = { secretKey: string; values: Values; seconds?: number; count?: number };

/** One round of awards through the whole stack, each for an order of its own. */
export function awards(world: World, round: Awards): Promise<Measured> {
  const purchase = { source: 'SHOPIFY', orderId: 'order-@', amount: 5_000 };
  const body = { query: AWARD, variables: { input: { memberId: '@', ...purchase } } };
  return world.load.run({
    port: world.api.port,
    connections: CONNECTIONS,
    body: JSON.stringify(body),
    expect: '"alreadyAwarded":false,"capped":false',
    ...round,
  });
}

// Of each side: how many of its members have been awarded points.
const used = { ours: 0, bare: 0 };

async function distinctAwards(world: World): Promise<Round> {
  const { secretKey, options } = world;
  const seconds = options.secondsPerRound;
  const first = SPACES.awards;
  const most = MOST_A_SECOND * seconds;
  await haveMembers(world, { first, count: used.ours + most });
  await tidyLedger(world);
  const values = { kind: 'members', from: first + used.ours, most } as const;
  const measured = await awards(world, { secretKey, seconds, values });
  used.ours += measured.issued;
  return measured;
}

async function bareAwards(world: World, program: string): Promise<Round> {
  const { databaseUrl, programId, options } = world;
  const seconds = options.secondsPerRound;
  await haveMembers(world, {
    first: SPACES.bareAwards,
    count: used.bare + MOST_A_SECOND * seconds,
  });
  await tidyLedger(world);
  const variables = { i: -1, first: SPACES.bareAwards + used.bare, program: programId };
  const round = await runPgbench({ program, databaseUrl }, { name: 'award', seconds, variables });
  used.bare = await highestOf(world);
  return round;
}

/** How far the clients have counted; they do not keep step. */
async function highestOf({ sql, programId }: World): Promise<number> {
  const { rows } = await sql.query<{ last: string }>(
    `SELECT max(substr(order_id, 6)::bigint) AS last FROM ledger_batches
     WHERE program_id = $1 AND order_id LIKE 'bare-%'`,
    [programId],
  );
  return Number(rows[0]?.last) - SPACES.bareAwards + 1;
}

export const award: Line = {
  name: 'award',
  about: 'distinct members, under a daily cap, against pgbench running the same writes',
  run: async (world) => {
    const { pgbench, options } = world;
    await settle(world);
    const sides = {
      ours: () => distinctAwards(world),
      ...(pgbench && { pgbench: () => bareAwards(world, pgbench) }),
    } as Record<'ours' | 'pgbench', () => Promise<Round>>;
    const measured = await alternate(sides, { rounds: options.rounds, say: world.say });
    const { ours, pgbench: baseline } = measured;
    const than = 'pgbench';
    return [compared('award, distinct members', { ours, baseline, atLeast: 0.7, than })];
  },
};
