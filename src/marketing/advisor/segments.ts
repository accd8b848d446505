import type { Tier } from '../../programs/index.ts';
import type { SegmentRow } from '../sql/segment-facts.ts';
import type { Recency, SegmentFacts, Spending } from '../types.ts';
import { plainText } from './plain-text.ts';

export const EVERYONE = 'Everyone';
/** Of spending, in multiples of the average purchase. */
export const SPENDING_CUTS = { medium: 2, high: 5 };
const MAX_LABEL = 40;

const RECENCY: Record<Recency, string> = {
  ACTIVE: 'active',
  LAPSING: 'lapsing',
  LAPSED: 'lapsed',
  NEVER: 'never bought',
};
const SPENDING: Record<Spending, string> = {
  LOW: 'low spend',
  MEDIUM: 'medium spend',
  HIGH: 'high spend',
};

/** Plain text; by number where two tiers would read alike, or one would not read at all. */
export function tierLabels(tiers: readonly Tier[]): Map<string, string> {
  const plain = tiers.map(({ name }) => plainText(name, MAX_LABEL));
  const differ = new Set(plain).size === tiers.length && !plain.includes('');
  const labels = tiers.map((tier, i) => (differ ? plain[i] : `Tier ${tier.rank} ${plain[i]}`));
  return new Map(tiers.map((tier, i) => [tier.id, (labels[i] as string).trim()]));
}

const NO_BOUNDS = {
  purchasedWithinDays: null,
  notPurchasedForDays: null,
  minSpent: null,
  maxSpent: null,
};

/** The bounds are those of an audience of a campaign: both ends of spending are inclusive. */
function boundsOf(row: SegmentRow, of: { inactiveDays: number; average: number }) {
  const { inactiveDays, average } = of;
  const [medium, high] = [SPENDING_CUTS.medium * average, SPENDING_CUTS.high * average];
  const days = {
    ACTIVE: { purchasedWithinDays: inactiveDays },
    LAPSING: { purchasedWithinDays: 2 * inactiveDays, notPurchasedForDays: inactiveDays },
    LAPSED: { notPurchasedForDays: 2 * inactiveDays },
    NEVER: { maxSpent: 0 },
  }[row.recency];
  const spent = {
    LOW: { minSpent: 1, maxSpent: medium - 1 },
    MEDIUM: { minSpent: medium, maxSpent: high - 1 },
    HIGH: { minSpent: high },
  };
  return { ...NO_BOUNDS, ...days, ...(row.spending && spent[row.spending]) };
}

/**
 * So many of a sorted list, in its order: the first of each recency and spending, then whoever
 * comes next. By revenue alone those who never bought would be cut off first, and they are a gap.
 */
export function ofEachKind<T extends Pick<SegmentRow, 'spending'> & { recency: Recency | null }>(
  sorted: readonly T[],
  most: number,
): T[] {
  const kinds = new Map(sorted.toReversed().map((one) => [`${one.recency} ${one.spending}`, one]));
  const firsts = sorted.filter((one) => kinds.get(`${one.recency} ${one.spending}`) === one);
  const chosen = new Set([...new Set([...firsts, ...sorted])].slice(0, most));
  return sorted.filter((one) => chosen.has(one));
}

/** The rows as they are shown, everyone first; `most` of the others. */
export function segmentsOf(
  rows: readonly SegmentRow[],
  of: { tiers: readonly Tier[]; inactiveDays: number; most: number },
): SegmentFacts[] {
  const labels = tierLabels(of.tiers);
  const average = Number(rows[0]?.averageOrder ?? 0);
  const shown = ofEachKind(rows, of.most).map((row) => ({
    name: [labels.get(row.tierId), RECENCY[row.recency], row.spending && SPENDING[row.spending]]
      .filter(Boolean)
      .join(', '),
    members: Number(row.members),
    revenue: Number(row.revenue),
    tierId: row.tierId,
    recency: row.recency,
    spending: row.spending,
    ...boundsOf(row, { inactiveDays: of.inactiveDays, average }),
  }));
  return [everyone(rows), ...shown];
}

function everyone(rows: readonly SegmentRow[]): SegmentFacts {
  const sum = (numbers: bigint[]) => Number(numbers.reduce((total, number) => total + number, 0n));
  return {
    name: EVERYONE,
    members: sum(rows.map(({ members }) => members)),
    revenue: Math.min(sum(rows.map(({ revenue }) => revenue)), Number.MAX_SAFE_INTEGER),
    tierId: null,
    recency: null,
    spending: null,
    ...NO_BOUNDS,
  };
}
