/** `npm run reconcile`: checks that points and codes tie out, and changes nothing. */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { DEFAULT_HOME, readDatabaseUrl, readEnvironment } from './config.ts';
import { attachEmbedded } from './embedded/attach.ts';
import { type Db, openDb } from './kernel/db.ts';
import { type ProgramId, parseId } from './kernel/ids.ts';
import { SetupError } from './kernel/setup-error.ts';
import { runToEnd } from './lifecycle.ts';
import { type Reconciliation, reconcile } from './workers/index.ts';

const HELP = `Usage: npm run reconcile [-- --program ID]

Checks every invariant of the points ledger and the census of codes, beside a running npm start or
in the database that DATABASE_URL names. Prints each difference: what should be equal, of whom,
what it ought to be and what it is. Repairs nothing. Ends with 1 when there is a difference.

  --program ID   this program only; without it all of them, one after the other
  --help         this text`;

async function main(): Promise<number> {
  const wanted = readArguments(process.argv.slice(2));
  if (wanted.help) {
    console.log(HELP);
    return 0;
  }
  const given = readEnvironment();
  const home = given.FLASH_HOME ?? DEFAULT_HOME;
  const env = given.DATABASE_URL ? given : await attachEmbedded(home);
  const db = openDb(readDatabaseUrl(env), { max: 4 });
  try {
    return await check(db, wanted.program);
  } finally {
    await db.$disconnect();
  }
}

function readArguments(args: string[]): { help: boolean; program: string | undefined } {
  try {
    const options = { help: { type: 'boolean' }, program: { type: 'string' } } as const;
    const { values } = parseArgs({ args, options });
    return { help: values.help === true, program: values.program };
  } catch {
    throw new SetupError('expected --program ID, or --help and nothing else');
  }
}

async function check(db: Db, wanted: string | undefined): Promise<number> {
  const id = wanted === undefined ? undefined : parseId<ProgramId>(wanted);
  const unknown = wanted !== undefined && !id;
  const programs = await db.program.findMany({
    where: id ? { id } : {},
    select: { id: true, name: true },
    orderBy: { id: 'asc' },
  });
  if (unknown || (id && programs.length === 0)) throw new SetupError('--program: no such program');
  let differences = 0;
  for (const program of programs) {
    const found = await reconcile({ db }, { programId: program.id as ProgramId });
    differences += found.differences.length;
    print(program, found);
  }
  if (programs.length === 0) console.log('There is no program.');
  return differences === 0 ? 0 : 1;
}

function print(program: { id: string; name: string }, found: Reconciliation): void {
  const { members, batches, codes, differences } = found;
  const count = `${members} members, ${batches} lots, ${codes} codes`;
  const verdict = differences.length === 0 ? 'ties out' : `${differences.length} differences`;
  console.log(`${program.name} (${program.id}): ${count}: ${verdict}`);
  if (differences.length === 0) return;
  const rows = [['what should be equal', 'of', 'expected', 'actual']];
  for (const { invariant, subject, expected, actual } of differences)
    rows.push([invariant, subject, String(expected), String(actual)]);
  const widths = [0, 1, 2, 3].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  for (const row of rows)
    console.log(`  ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}`.trimEnd());
}

await runToEnd(main);
