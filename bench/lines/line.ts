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

const FLAT = 0.8; // the slowest within 25 % of the fastest

/** Each against the fastest of them. */
export function flatness(
  rounds: Record<string, Round[]>,
  title: (name: string) => string,
): Result[] {
  const names = Object.keys(rounds);
  const ofName = (name: string) => rounds[name] as Round[];
  const fastest = names.reduce((best, name) =>
    medianRate(ofName(name)) > medianRate(ofName(best)) ? name : best,
  );
  return names.map((name) => {
    const { ratio, interval } = ratioOf(ofName(name), ofName(fastest));
    return {
      operation: title(name),
      ours: medianRate(ofName(name)),
      baseline: medianRate(ofName(fastest)),
      ratio,
      interval,
      ...latencies(ofName(name)),
      target: `>= ${FLAT} x the fastest of them`,
      met: ratio >= FLAT,
    };
  });
}
