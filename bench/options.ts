import { parseArgs } from 'node:util';

export type Options = {
  names: string[];
  /** Rounds of each side, after one that only warms up. */
  rounds: number;
  secondsPerRound: number;
  /** Codes in the hot pool, on either side: more than all lines together claim. */
  hotCodes: number;
  /** Codes in each of the pools that are partly drained. */
  drainedCodes: number;
  sizes: number[];
  /** Lots that the members of the line about old lots have spent already. */
  oldLots: number[];
  /** Members of the programs of the line about crowds. */
  crowds: number[];
  /** Members whose points end, in each round about the sweep; more on a fast machine. */
  swept: number;
  /** Members whose tiers are judged on one day. */
  evaluated: number;
  memorySeconds: number;
  form: 'quick' | 'usual' | 'full';
  help: boolean;
};

const usual = {
  rounds: 7,
  secondsPerRound: 3,
  hotCodes: 1_000_000,
  drainedCodes: 200_000,
  sizes: [10_000, 100_000, 1_000_000],
  oldLots: [10, 10_000],
  crowds: [10_000, 1_000_000],
  swept: 50_000,
  evaluated: 1_000_000,
  memorySeconds: 60,
};

const quick = {
  rounds: 3,
  secondsPerRound: 2,
  hotCodes: 300_000,
  drainedCodes: 50_000,
  sizes: [10_000, 50_000, 300_000],
  oldLots: [10, 1_000],
  crowds: [10_000, 100_000],
  swept: 20_000,
  evaluated: 100_000,
  memorySeconds: 30,
};

const TEN_MINUTES = 600;

/** Throws with a message for people on an option that does not exist. */
export function readOptions(args: string[]): Options {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      quick: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
    },
  });
  const form = values.quick ? 'quick' : values.full ? 'full' : 'usual';
  const numbers = values.quick ? quick : usual;
  const memorySeconds = values.full ? TEN_MINUTES : numbers.memorySeconds;
  return { names: positionals, ...numbers, memorySeconds, form, help: values.help };
}
