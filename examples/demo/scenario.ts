/** The demo's story, told through the public API alone. */
import { type Api, forEach } from './api.ts';
import { liveThrough } from './days.ts';
import { granted } from './granted.ts';
import * as ask from './operations.ts';
import { atHour, LADDER, MIN_ORDER_CENTS, type Plan, SETTINGS, TIME_ZONE } from './plan.ts';

const DISCOUNT_BASIS_POINTS = 1_000;
const PAGE = 200;

/** Somebody who shows how far a step has come. */
export type Progress = {
  step(title: string, total: number): { tick(count?: number): void; end(): void };
};

export type Redemption = { orderId: string; orderAmount: number; discountAmount: number };

export type Played = {
  programId: string;
  stats: ask.PoolStats;
  /** As the API answered them, one for each redemption. */
  redemptions: readonly Redemption[];
  /** What the cap withheld, after the answers to the awards. */
  capped: number;
  liability: ask.Liability;
  reconciliation: { members: number; batches: number; differences: readonly ask.Difference[] };
  members: readonly ask.MemberAccount[];
};

export type Stage = { shop: Api; plan: Plan; progress: Progress };

/** `root` is the API with the root key, which makes the program and then goes no further. */
export async function play(root: Api, { plan, progress }: Omit<Stage, 'shop'>): Promise<Played> {
  const { createProgram } = await root.call(ask.createProgram, {
    input: {
      name: 'CDNOW',
      currency: 'USD',
      timeZone: TIME_ZONE,
      sandbox: true,
      clock: atHour(plan.days[0] as string, '00'),
      settings: SETTINGS,
      tiers: LADDER,
    },
  });
  const stage = { shop: root.as(createProgram.secretKey), plan, progress };
  const members = await addMembers(stage);
  const poolId = await openPool(stage);
  const codes = await claimAll(stage, { poolId, members });
  const lived = await liveThrough(stage, { members, codes });
  const { pool } = await stage.shop.call(ask.poolStats, { id: poolId });
  if (!pool) throw new Error('the pool is gone');
  const { pointsLiability, reconcile } = await stage.shop.call(ask.accounts, {});
  return {
    ...{ programId: createProgram.program.id, stats: pool.stats, ...lived },
    ...{ liability: pointsLiability, reconciliation: reconcile },
    members: await readMembers(stage),
  };
}

/** Members' ids by the shop's own ids. */
async function addMembers({ shop, plan, progress }: Stage): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  const bar = progress.step('Members', plan.customers.length);
  await forEach(plan.customers, async (externalId) => {
    const { upsertMember } = await shop.call(ask.upsertMember, { input: { externalId } });
    ids.set(externalId, upsertMember.id);
    bar.tick();
  }).finally(bar.end);
  return ids;
}

async function openPool({ shop, plan, progress }: Stage): Promise<string> {
  const { createPool } = await shop.call(ask.createPool, {
    input: {
      name: '10 % off the first order',
      discountKind: 'PERCENT',
      discountValue: DISCOUNT_BASIS_POINTS,
      minOrderAmount: MIN_ORDER_CENTS,
    },
  });
  const poolId = createPool.id;
  const bar = progress.step('Codes', plan.codes);
  try {
    for (let made = 0; made < plan.codes; made += plan.batch) {
      const count = Math.min(plan.batch, plan.codes - made);
      await shop.call(ask.generateCodes, { poolId, count, idempotencyKey: `codes from ${made}` });
      bar.tick(count);
    }
  } finally {
    bar.end();
  }
  await shop.call(ask.activatePool, { id: poolId });
  return poolId;
}

type Claiming = { poolId: string; members: ReadonlyMap<string, string> };

/** The codes' texts by the shop's own ids: the merchant's server hands them out, and logs none. */
async function claimAll(stage: Stage, of: Claiming): Promise<Map<string, string>> {
  const { shop, plan, progress } = stage;
  const codes = new Map<string, string>();
  const bar = progress.step('Claims', plan.customers.length);
  await forEach(plan.customers, async (customer) => {
    const memberId = of.members.get(customer) as string;
    const input = { poolId: of.poolId, memberId };
    const claimed = await granted(`the claim of ${customer}`, async () => {
      return (await shop.call(ask.claimCode, { input })).claimCode;
    });
    codes.set(customer, claimed.plaintext);
    bar.tick();
  }).finally(bar.end);
  return codes;
}

/** What the shop's dashboard would show of each of them. */
async function readMembers({ shop, plan, progress }: Stage): Promise<ask.MemberAccount[]> {
  const found: ask.MemberAccount[] = [];
  const bar = progress.step('Accounts', plan.customers.length);
  try {
    for (let after: string | null = null; ; ) {
      const page: ask.MemberPage = (await shop.call(ask.membersPage, { first: PAGE, after }))
        .members;
      found.push(...page.nodes);
      bar.tick(page.nodes.length);
      if (!page.pageInfo.hasNextPage) return found;
      after = page.pageInfo.endCursor;
    }
  } finally {
    bar.end();
  }
}
