import type { Result } from '../report.ts';
import { latencies, medianRate, type Round, ratioOf } from '../rounds.ts';
import type { World } from '../world.ts';

/** One entry of `npm run bench -- <name>`; it may measure several lines of the table. */
export type Line = { name: string; about: string; run(world: World): Promise<Result[]> };

/** A line that is at least `atLeast` times as fast as its baseline. */
export function compared(
  operation: string,
  of: { ours: Round[]; baseline: Round[] | undefined; atLeast: number; than: string },
): Result {
  const { ours, baseline, atLeast, than } = of;
  const common = { operation, ours: medianRate(ours), ...latencies(ours) };
  if (!baseline || baseline.length === 0) {
    const target = `>= ${atLeast} x ${than}, which is missing here`;
    return { ...common, baseline: null, ratio: null, target, met: null };
  }
  const { ratio, interval } = ratioOf(ours, baseline);
  return {
    ...common,
    baseline: medianRate(baseline),
    ratio,
    interval,
    target: `>= ${atLeast} x ${than}`,
    met: ratio >= atLeast,
  };
}
