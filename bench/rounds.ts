/** Rounds that alternate the sides, so that whatever else the machine does meets both alike. */
export type Round = { rate: number; p50?: number; p99?: number };
export type Sides<Name extends string> = Record<Name, () => Promise<Round>>;
export type Rounds<Name extends string> = Record<Name, Round[]>;

type Plan = {
  rounds: number;
  /** Between the rounds, outside of every measurement. */
  between?: () => Promise<unknown>;
  say: (text: string) => void;
};

// Node compiles what it runs often: a claim costs the API three times as much before that.
export const WARM_UPS = 2;

/** Two rounds of each side to warm up, then `rounds` of each, every other one in reverse order. */
export async function alternate<Name extends string>(
  sides: Sides<Name>,
  plan: Plan,
): Promise<Rounds<Name>> {
  const names = Object.keys(sides) as Name[];
  const measured = Object.fromEntries(names.map((name) => [name, [] as Round[]]));
  const rounds = measured as Rounds<Name>;
  for (let round = 1 - WARM_UPS; round <= plan.rounds; round++) {
    const told: string[] = [];
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      await plan.between?.();
      const result = await sides[name]();
      told.push(`${name} ${Math.round(result.rate)}/s`);
      if (round > 0) rounds[name].push(result);
    }
    plan.say(`${round <= 0 ? 'warm-up' : `round ${round}`}: ${told.join(', ')}`);
  }
  return rounds;
}

export function median(numbers: number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** NaN of nothing. */
export const quantile = (sorted: number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

export const medianRate = (rounds: Round[]): number => median(rounds.map(({ rate }) => rate));

/** Median over the rounds of each round's own quantile. */
export const latencies = (rounds: Round[]) => ({
  p50: median(rounds.map((round) => round.p50 ?? Number.NaN)),
  p99: median(rounds.map((round) => round.p99 ?? Number.NaN)),
});

/** The ratio of the medians, and the least and the greatest ratio of two rounds side by side. */
export function ratioOf(ours: Round[], baseline: Round[]) {
  const pairs = ours.map((round, i) => round.rate / (baseline[i]?.rate ?? Number.NaN));
  return {
    ratio: medianRate(ours) / medianRate(baseline),
    interval: [Math.min(...pairs), Math.max(...pairs)] as [number, number],
  };
}
