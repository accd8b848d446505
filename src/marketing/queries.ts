import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { getProgram, listTiers, programNow } from '../programs/index.ts';
import {
  GROWTH_CUT,
  growthOf,
  PERIOD_DAYS,
  quadrantOf,
  rateOf,
  shareCut,
} from './advisor/quadrants.ts';
import { SPENDING_CUTS, segmentsOf } from './advisor/segments.ts';
import { type PoolRow, readPoolFacts } from './sql/pool-facts.ts';
import { readSegmentFacts } from './sql/segment-facts.ts';
import type { Facts, PoolFacts } from './types.ts';

export const MAX_POOLS = 1_000;
const MAX_SEGMENTS = 30;

type Of = { programId: ProgramId };

/** What the advisor stands on. */
export async function readFacts(deps: Deps, { programId }: Of): Promise<Facts> {
  const [program, tiers, asOf] = await Promise.all([
    getProgram(deps, { programId }),
    listTiers(deps, { programId }),
    programNow(deps, { programId }),
  ]);
  const { inactiveDays } = program;
  const [pools, segments] = await Promise.all([
    readPoolFacts(deps, { programId, days: PERIOD_DAYS, most: MAX_POOLS }),
    readSegmentFacts(deps, { programId, inactiveDays, cuts: SPENDING_CUTS }),
  ]);
  const share = shareCut(Number(pools[0]?.inPlay ?? 0));
  return {
    asOf,
    averageOrder: smaller(pools[0]?.averageOrder, segments[0]?.averageOrder),
    redeemers: pools[0]?.allRedeemers ?? 0,
    cuts: { days: PERIOD_DAYS, share, growth: GROWTH_CUT },
    pools: pools.map((row) => toFacts(row, share)),
    segments: segmentsOf(segments, { tiers, inactiveDays, most: MAX_SEGMENTS }),
  };
}

/** What there is to stand on when nothing could be read. */
export const noFacts = (asOf: Date): Facts => ({
  asOf,
  averageOrder: null,
  redeemers: 0,
  cuts: { days: PERIOD_DAYS, share: shareCut(0), growth: GROWTH_CUT },
  pools: [],
  segments: segmentsOf([], { tiers: [], inactiveDays: 0, most: 0 }),
});

type Amount = bigint | null | undefined;

function smaller(a: Amount, b: Amount): number | null {
  const known = [a, b].filter((one) => one != null).map(Number);
  return known.length === 0 ? null : Math.min(...known);
}

function toFacts(row: PoolRow, cut: number): PoolFacts {
  const { poolId, name, status, discountKind, endsAt, holders, redeemers } = row;
  const [issued, redeemed] = [Number(row.issued), Number(row.redeemed)];
  const [discountGiven, orderRevenue] = [Number(row.discountGiven), Number(row.orderRevenue)];
  const [recent, previous] = [Number(row.recent), Number(row.previous)];
  const share = rateOf(recent, Number(row.allRecent));
  const growth = growthOf({ recent, previous });
  return {
    poolId,
    name,
    status,
    discountKind,
    discountValue: Number(row.discountValue),
    maxDiscount: row.maxDiscount === null ? null : Number(row.maxDiscount),
    minOrderAmount: Number(row.minOrderAmount),
    endsAt,
    issued,
    redeemed,
    redemptionRate: rateOf(redeemed, issued),
    discountGiven,
    orderRevenue,
    marginImpact: rateOf(discountGiven, orderRevenue),
    share,
    growth,
    quadrant: quadrantOf({ share, growth, isNew: row.isNew, cut }),
    holders,
    redeemers,
  };
}
