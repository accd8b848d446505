import { activatePool } from '../../src/coupons/index.ts';
import type { ProgramId } from '../../src/kernel/ids.ts';
import { addAudience, createCampaign } from '../../src/marketing/index.ts';
import { createProgram } from '../../src/programs/index.ts';
import { startWorkers } from '../../src/workers/index.ts';
import type { Result } from '../report.ts';
import { draftPool, fill, settle } from '../seed.ts';
import type { World } from '../world.ts';
import type { Line } from './line.ts';

const AT_LEAST = 10_000;
const EVERY_MS = 100;

const ISSUE = 'mutation Issue($id: ID!) { issueCampaign(id: $id) { status } }';
const PROGRESS = 'query Progress($id: ID!) { campaign(id: $id) { status issued recipients } }';

type Progress = { campaign: { status: string; issued: number; recipients: number } };

/** A merchant with nothing else: an audience looks at every member there is. */
async function aMerchant(world: World, members: number): Promise<World> {
  const input = { name: 'Mailing', currency: 'USD', timeZone: 'UTC', sandbox: false };
  const { program, secretKey } = await createProgram(world.deps, { input });
  await world.sql.query(
    `INSERT INTO members (program_id, id, external_id, email, email_verified, tier_id, created_at)
     SELECT $1, uuidv7(), 'member-' || n, 'member-' || n || '@example.com', true,
       (SELECT id FROM tiers WHERE program_id = $1 AND rank = 1), now()
     FROM generate_series(1, $2::int) n`,
    [program.id, members],
  );
  return { ...world, programId: program.id as ProgramId, secretKey };
}

const rate = (operation: string, of: { count: number; began: number }): Result => {
  const ours = of.count / ((performance.now() - of.began) / 1000);
  const target = `>= ${AT_LEAST.toLocaleString('en')}/s`;
  const common = { baseline: null, ratio: null, p50: null, p99: null };
  return { operation, ours, ...common, target, met: ours >= AT_LEAST };
};

async function untilIssued(world: World, id: string, count: number): Promise<void> {
  const bar = world.progress('recipients issued', count);
  for (let last = 0; ; await new Promise((resolve) => setTimeout(resolve, EVERY_MS))) {
    const asked = { query: PROGRESS, variables: { id } };
    const { campaign } = await world.api.query<Progress>(world.secretKey, asked);
    bar.add(campaign.issued - last);
    last = campaign.issued;
    if (campaign.status === 'ISSUING') continue;
    bar.end();
    const { status, issued, recipients } = campaign;
    if (status === 'ISSUED' && issued === count && recipients === count) return;
    throw new Error(`the campaign is ${status}: ${issued} of ${recipients}, and not of ${count}`);
  }
}

async function run(shared: World): Promise<Result[]> {
  const count = shared.options.sizes[1] as number;
  const world = await aMerchant(shared, count);
  const { deps, programId, api, secretKey } = world;
  const poolId = await draftPool(world, 'Mailing');
  await fill(world, { poolId, count, space: 'mailing' });
  await activatePool(deps, { programId, poolId });
  await settle(world);
  const input = { name: 'Mailing', poolId, recipients: [] };
  const { id } = await createCampaign(deps, { programId, input });
  let began = performance.now();
  const audience = { withoutCodeOfPool: true, maxSpent: 0 };
  await addAudience(deps, { programId, campaignId: id as never, audience, isGone: () => false });
  const added = rate('audience of a campaign (members/s)', { count, began });
  const workers = await startWorkers(deps);
  try {
    began = performance.now();
    await api.query(secretKey, { query: ISSUE, variables: { id } });
    await untilIssued(world, id, count);
    return [added, rate('campaign, issued (recipients/s)', { count, began })];
  } finally {
    await workers.stop();
  }
}

export const campaign: Line = {
  name: 'campaign',
  about: 'codes for the members of an audience, issued in the background',
  run,
};
