import type { Measured } from '../load/job.ts';
import type { Result } from '../report.ts';
import { medianRate, quantile, WARM_UPS } from '../rounds.ts';
import { activate, draftPool, drain, fill, SPACES, settle } from '../seed.ts';
import { CONNECTIONS, type World } from '../world.ts';
import type { Line } from './line.ts';

const CODES_EACH = 10;
const A_SECOND = 200;
const AT_MOST_MS = 20;
/** Of the pace: what is answered after a round does not count towards it. */
const KEPT = 0.98;
/** Prime to the number of members: one after the other, in no order that a cache would like. */
const STEP = 7_919;

const WALLET = `query Wallet($id: ID!) {
  member(id: $id) {
    id
    wallet { id masked status allocatedAt pool { name endsAt } redemption { orderId } }
  }
}`;

/** Ten pools, of each of which every member has a code. Answers how many members there are. */
async function furnish(world: World): Promise<number> {
  const members = world.options.hotCodes / CODES_EACH;
  for (let i = 0; i < CODES_EACH; i++) {
    const poolId = await draftPool(world, `Season ${i + 1}`);
    await fill(world, { poolId, count: members, space: `season-${i}-` });
    await activate(world, poolId);
    await drain(world, { poolId, count: members });
  }
  await settle(world);
  return members;
}

async function run(world: World): Promise<Result[]> {
  const { options, load, api, secretKey } = world;
  const members = await furnish(world);
  const body = JSON.stringify({ query: WALLET, variables: { id: '@' } });
  const rounds: Measured[] = [];
  let start = 0;
  for (let round = 1 - WARM_UPS; round <= options.rounds; round++) {
    const measured = await load.run({
      ...{ port: api.port, secretKey, connections: CONNECTIONS, body, pace: A_SECOND },
      values: { kind: 'members', from: SPACES.drained, of: members, start, step: STEP },
      expect: Array.from({ length: CODES_EACH }, (_, i) => `"pool":{"name":"Season ${i + 1}"`),
      seconds: options.secondsPerRound,
    });
    start += measured.issued;
    if (round > 0) rounds.push(measured);
  }
  // Of all rounds together: the median of the rounds would leave out the worst of them.
  const times = rounds.flatMap((one) => one.latencies ?? []).sort((a, b) => a - b);
  const [ours, p50, p99] = [medianRate(rounds), quantile(times, 0.5), quantile(times, 0.99)];
  const least = KEPT * A_SECOND;
  return [
    {
      operation: `wallet of one of ${members.toLocaleString('en')} members, ${A_SECOND}/s`,
      ...{ ours, baseline: null, ratio: null, p50, p99 },
      target: `p99 < ${AT_MOST_MS} ms, at >= ${least}/s`,
      met: p99 < AT_MOST_MS && ours >= least,
    },
  ];
}

export const wallet: Line = {
  name: 'wallet',
  about: 'the wallet of one member among 1,000,000 codes, at 200 requests a second',
  run,
};
