import type { Quadrant } from '../types.ts';

/** Local days of the period whose redemptions are compared with as many days before it. */
export const PERIOD_DAYS = 30;
/** A tenth more than before: the cut of the Boston Consulting Group's own matrix. */
export const GROWTH_CUT = 1_000;
/** A hundredfold: more says nothing more, and would not fit into an Int. */
const MAX_GROWTH = 1_000_000;
const WHOLE = 10_000;

/** Basis points of a whole, rounded towards 0; 0 of nothing. */
export const rateOf = (part: number, whole: number): number =>
  whole === 0 ? 0 : Number((BigInt(part) * BigInt(WHOLE)) / BigInt(whole));

/** An equal part for each pool that is in play: who has more has a large share. */
export const shareCut = (poolsInPlay: number): number =>
  Math.trunc(WHOLE / Math.max(poolsInPlay, 1));

/** Redemptions more than before, in basis points of before; of one, if there were none. */
export const growthOf = ({ recent, previous }: { recent: number; previous: number }): number =>
  Math.min(rateOf(recent - previous, Math.max(previous, 1)), MAX_GROWTH);

type Place = { share: number; growth: number; isNew: boolean; cut: number };

export function quadrantOf({ share, growth, isNew, cut }: Place): Quadrant {
  const isLarge = share >= cut;
  const isGrowing = isNew || growth >= GROWTH_CUT;
  if (isLarge) return isGrowing ? 'STAR' : 'CASH_COW';
  return isGrowing ? 'QUESTION_MARK' : 'DOG';
}
