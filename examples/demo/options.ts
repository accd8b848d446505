/** What the command line and the environment ask of the demo. */
import { parseArgs } from 'node:util';
import { SetupError } from '../../src/kernel/setup-error.ts';
import { LADDER, REFUND, SETTINGS, SPEND, TIME_ZONE } from './plan.ts';

const HOME = '.flash-demo';

export const HELP = `Usage: npm run demo [-- options]

Loads the customers of examples/cdnow as members of a fresh sandbox program whose clock begins on
2021-01-01 in ${TIME_ZONE}, makes a pool of 25,000 codes of 10 % off, and lets every customer
claim one. Then it goes through the days on the sandbox clock: each code is redeemed on its
customer's first purchase of at least 5.00; every purchase earns points, up to ${SETTINGS.dailyCap}
a day, with which its customer climbs a ladder of ${LADDER.length} ranks and falls again; whenever
a balance reaches ${SPEND.from}, ${SPEND.points} points are spent; and every ${REFUND.every}th
purchase is refunded in full after ${REFUND.afterDays} days.

Everything goes through the public API over HTTP. At the end the program is reconciled, and the
database is compared with the file, order by order and to the cent, member by member and to the
point: exits with 1 on any difference.

Without options it brings its own PostgreSQL, Redis and API process, in ${HOME}
(or FLASH_DEMO_HOME), emptied at each start, and stops them when it ends.

  --url <url>           use the API that runs there instead
  --root-key <key>      its root key (better in FLASH_ROOT_KEY: other users see a command line)
  --database-url <url>  its database, for the comparison by SQL (or DATABASE_URL); without it only
                        what the API answers is compared, and there is no table of the ladder
  --customers <n>       only the first n customers
  --days <n>            only the purchases of the first n days
  --help                this text`;

const OPTIONS = {
  url: { type: 'string' },
  'root-key': { type: 'string' },
  'database-url': { type: 'string' },
  customers: { type: 'string' },
  days: { type: 'string' },
  help: { type: 'boolean' },
} as const;

type Given = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];
type Env = Record<string, string | undefined>;

/** An API that runs already. */
export type Place = { url: string; rootKey: string; databaseUrl: string | undefined };

export type Wanted = {
  customers: number | undefined;
  days: number | undefined;
  home: string;
  place: Place | undefined;
};

/** Throws a SetupError that repeats nothing of what was typed: it may be a key. */
export function readOptions(args: string[], env: Env): Wanted | 'help' {
  const given = parse(args);
  if (given.help) return 'help';
  return {
    customers: numberOf('customers', given.customers),
    days: numberOf('days', given.days),
    home: env.FLASH_DEMO_HOME || HOME,
    place: placeOf(given, env),
  };
}

function parse(args: string[]): Given {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch {
    throw new SetupError('that is not an option of the demo: see npm run demo -- --help');
  }
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new SetupError(`--${name}: expected a number from 1`);
  return Number(text);
}

function placeOf(given: Given, env: Env): Place | undefined {
  if (given.url === undefined) return undefined;
  const rootKey = given['root-key'] || env.FLASH_ROOT_KEY;
  if (!URL.canParse(given.url)) throw new SetupError('--url: expected a URL');
  if (!rootKey) throw new SetupError('--url needs the root key: set FLASH_ROOT_KEY');
  const databaseUrl = given['database-url'] || env.DATABASE_URL || undefined;
  return { url: given.url, rootKey, databaseUrl };
}
