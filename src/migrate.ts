/** `npm run migrate`: brings the database that DATABASE_URL names up to date. */
import process from 'node:process';
import { readDatabaseUrl, readEnvironment } from './config.ts';
import { drift, migrate } from './kernel/migrate.ts';
import { runToEnd } from './lifecycle.ts';

const HELP = `Usage: npm run migrate [-- --drift]

Applies the migrations that are pending and installs the functions of prisma/functions that have
changed, in the database that DATABASE_URL names. Safe to run again, and from several machines at
once. Embedded databases need none of this: npm start brings them up to date.

  --drift   change nothing; print the SQL that lies between the migrations and schema.prisma,
            and exit with 2 when there is any. Needs the right to create a database.
  --help    this text`;

async function main(): Promise<number> {
  const wanted = process.argv.slice(2);
  if (wanted.includes('--help')) {
    console.log(HELP);
    return 0;
  }
  const databaseUrl = readDatabaseUrl(readEnvironment());
  if (wanted.includes('--drift')) {
    const sql = await drift(databaseUrl);
    console.log(sql ?? 'The migrations make what schema.prisma says.');
    return sql === undefined ? 0 : 2;
  }
  const applied = await migrate(databaseUrl);
  for (const name of applied) console.log(`applied ${name}`);
  if (applied.length === 0) console.log('The database is up to date.');
  return 0;
}

await runToEnd(main);
