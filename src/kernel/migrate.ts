/** Brings a database up to date: migrations first, then the functions of prisma/functions. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { refuseRestored } from './restored.ts';
import { NO_FILTERS, readMigrations, withEngine } from './schema-engine.ts';
import { SetupError } from './setup-error.ts';

const PRISMA = path.join(import.meta.dirname, '../../prisma');

/** A number of our own among the database's advisory locks. */
const MIGRATE_LOCK = 70_461;
// Its transaction is idle while the engine works on a connection of its own.
const SESSION = '-c timezone=UTC -c idle_in_transaction_session_timeout=0';

/** `folder` holds schema.prisma, migrations and functions; a test brings its own. */
export type Options = { folder?: string };

/**
 * The names of what was applied, in order; none when the database was up to date. Refuses a history
 * that was edited, failed, or is ahead of this checkout. Several at once wait for each other.
 */
export async function migrate(databaseUrl: string, options: Options = {}): Promise<string[]> {
  const folder = options.folder ?? PRISMA;
  const client = new pg.Client({ connectionString: databaseUrl, options: SESSION });
  await client.connect().catch(rethrow);
  try {
    await client.query('BEGIN');
    // The engine's own lock begins after its look at the history, where what another process is
    // applying at this moment looks like a migration that failed half way.
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATE_LOCK]);
    const migrations = await applyMigrations(databaseUrl, folder).catch(rethrow);
    const functions = await installFunctions(client, folder);
    await refuseRestored(async ({ text }) => (await client.query(text)).rows);
    await client.query('COMMIT');
    return [...migrations, ...functions];
  } finally {
    await client.end(); // without a commit, the server rolls back
  }
}

async function applyMigrations(databaseUrl: string, folder: string): Promise<string[]> {
  const schemaFile = path.join(folder, 'schema.prisma');
  return withEngine({ databaseUrl, schemaFile }, async (engine) => {
    const migrationsList = await readMigrations(path.join(folder, 'migrations'));
    const found = await engine.diagnoseMigrationHistory({
      migrationsList,
      optInToShadowDatabase: false,
      filters: NO_FILTERS,
    });
    refuse('were edited after they had been applied', found.editedMigrationNames);
    refuse('failed half way earlier and must be resolved by hand', found.failedMigrationNames);
    if (found.history && found.history.diagnostic !== 'databaseIsBehind') {
      throw new SetupError(
        'the database has migrations that are not in this checkout: use the version of Flash ' +
          'that applied them, or a later one',
      );
    }
    const applied = await engine.applyMigrations({ migrationsList, filters: NO_FILTERS });
    return applied.appliedMigrationNames;
  });
}

function refuse(what: string, names: readonly string[]): void {
  if (names.length > 0) throw new SetupError(`migrations that ${what}: ${names.join(', ')}`);
}

function rethrow(error: unknown): never {
  // The engine's errors are plain objects or carry no stack worth showing; their text is meant
  // for people and names the migration.
  if (error instanceof SetupError) throw error;
  const message = (error as { message?: string }).message ?? String(error);
  throw new SetupError(`the database could not be migrated: ${message}`, { cause: error });
}

type SqlFile = { name: string; text: string; checksum: string };

async function readFunctions(folder: string): Promise<SqlFile[]> {
  const names = await readdir(path.join(folder, 'functions')).catch(() => []);
  const sql = names.filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    sql.map(async (name) => {
      const text = await readFile(path.join(folder, 'functions', name), 'utf8');
      return { name, text, checksum: createHash('sha256').update(text).digest('hex') };
    }),
  );
}

/** Replaces the functions whose text has changed: all of them in one transaction, or none. */
async function installFunctions(client: pg.Client, folder: string): Promise<string[]> {
  const files = await readFunctions(folder);
  // They call each other, and the order of the files is not the order of the calls.
  await client.query('SET LOCAL check_function_bodies = off');
  const changed = await changedFiles(client, files);
  for (const file of changed) await install(client, file);
  return changed.map(({ name }) => `functions/${name}`);
}

async function changedFiles(client: pg.Client, files: SqlFile[]): Promise<SqlFile[]> {
  const { rows } = await client.query<{ name: string; checksum: string }>(
    'SELECT name, checksum FROM installed_functions',
  );
  const installed = new Map(rows.map((row) => [row.name, row.checksum]));
  return files.filter((file) => installed.get(file.name) !== file.checksum);
}

async function install(client: pg.Client, file: SqlFile): Promise<void> {
  try {
    await client.query(file.text);
  } catch (error) {
    const { message } = error as Error;
    throw new SetupError(`prisma/functions/${file.name}: ${message}`, { cause: error });
  }
  await client.query(
    `INSERT INTO installed_functions (name, checksum) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum`,
    [file.name, file.checksum],
  );
}

/**
 * The SQL that would bring what the migrations make up to schema.prisma; undefined when they agree.
 * Needs the right to create a database. CHECKs, triggers, functions and partial indexes it does not
 * see.
 */
export async function drift(
  databaseUrl: string,
  options: Options = {},
): Promise<string | undefined> {
  const folder = options.folder ?? PRISMA;
  const schemaFile = path.join(folder, 'schema.prisma');
  return withEngine({ databaseUrl, schemaFile }, async (engine, schema) => {
    const migrations = await readMigrations(path.join(folder, 'migrations'));
    const result = await engine.diff({
      from: { tag: 'migrations', ...migrations },
      to: { tag: 'schemaDatamodel', ...schema },
      script: true,
      exitCode: true,
      filters: NO_FILTERS,
    });
    return result.exitCode === 2 ? (result.stdout ?? '') : undefined;
  });
}
