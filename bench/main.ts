/** `npm run bench`: how fast the engine is, each line against a baseline on the same server. */
import process from 'node:process';
import { endAll, endOnSignals, wasInterrupted } from './cleanup.ts';
import { advisor } from './lines/advisor.ts';
import { award } from './lines/award.ts';
import { campaign } from './lines/campaign.ts';
import { claim, taps } from './lines/claim.ts';
import { days, sweeping, sweeps } from './lines/daily.ts';
import { drained, sizes, snapshot } from './lines/flat.ts';
import { crowds, oldLots } from './lines/flat-points.ts';
import { generating } from './lines/generate.ts';
import { job } from './lines/job.ts';
import type { Line } from './lines/line.ts';
import { lists } from './lines/lists.ts';
import { memory } from './lines/memory.ts';
import { redeem } from './lines/redeem.ts';
import { spend } from './lines/spend.ts';
import { tiers } from './lines/tiers.ts';
import { wallet } from './lines/wallet.ts';
import { type Options, readOptions } from './options.ts';
import { machine, type Result, report, unmeasured } from './report.ts';
import { openWorld } from './world.ts';

const OF_CODES = [claim, taps, redeem, generating, lists, wallet, sizes, drained, snapshot];
const OF_POINTS = [award, spend, crowds, oldLots];
const OF_THE_FLEET = [job, campaign, days, sweeps, sweeping, tiers];
const LINES: Line[] = [...OF_CODES, ...OF_POINTS, ...OF_THE_FLEET, advisor, memory];

const MOST_OF_A_MESSAGE = 80;

const HELP = `npm run bench -- [names] [--quick | --full]

Measures the whole stack (HTTP, GraphQL, one API process, 64 connections) against the bare SQL, on a
PostgreSQL of its own with its durable defaults. Without names, all of it:

${LINES.map(({ name, about }) => `  ${name.padEnd(10)}${about}`).join('\n')}

  --quick   smaller pools, three short rounds instead of seven: to see that it works
  --full    ten minutes of load for the memory line

FLASH_BENCH_HOME       where the servers keep their data (.flash-bench)
FLASH_BENCH_API_FLAGS  for node in the API process, such as "--cpu-prof --cpu-prof-dir=profile"

Prints one table and writes bench/results.json; with names, bench/results-of-some.json. Every ratio
is one of medians over rounds that alternate the two sides; in brackets, the least and the greatest
of two rounds side by side.
`;

function chosen(names: string[]): Line[] {
  const unknown = names.find((name) => !LINES.some((line) => line.name === name));
  if (unknown) throw new Error(`${unknown}: no such line; see npm run bench -- --help`);
  return names.length === 0 ? LINES : LINES.filter(({ name }) => names.includes(name));
}

/** Of one line; what the others measure is told all the same. */
function failed({ name }: Line, error: Error): Result[] {
  if (wasInterrupted()) throw error;
  console.error(error.stack ?? error.message);
  process.exitCode = 1;
  const [message = ''] = error.message.split('\n');
  return [unmeasured(name, `failed: ${message.slice(0, MOST_OF_A_MESSAGE)}`)];
}

async function measure(options: Options, lines: Line[]): Promise<void> {
  const world = await openWorld(options);
  const on = await machine(world);
  console.log(on.join('\n'));
  if (!world.pgbench) console.log('pgbench is missing: install the client programs of PostgreSQL');
  const results: Result[] = [];
  for (const line of lines) {
    console.log(`\n${line.name}: ${line.about}`);
    results.push(...(await line.run(world).catch((error: Error) => failed(line, error))));
  }
  const { form, names } = options;
  const run = { at: world.deps.clock.now(), machine: on, form };
  await report(results, { ...run, lines: names.length > 0 ? names : null });
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(HELP);
    return;
  }
  const lines = chosen(options.names);
  endOnSignals();
  try {
    await measure(options, lines);
  } finally {
    await endAll();
  }
}

await main().catch((error: Error) => {
  if (wasInterrupted()) return;
  console.error(error.stack ?? error.message);
  process.exitCode = 1;
});
