/**
 * Prisma's own schema engine (the WebAssembly build published on npm), driven over `pg`. It does
 * what `prisma migrate deploy`, `status` and `diff` do, in the same table and under the same lock,
 * without the native binary that the command line tool downloads.
 */
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import type { MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';
import { systemRandom } from './crypto.ts';

const ENGINE = '@prisma/schema-engine-wasm/schema_engine_bg';
const PG_CHAR = 18;
const PG_BPCHAR = 1042;
export const NO_FILTERS = { externalTables: [], externalEnums: [] };

export type SchemaFile = { path: string; content: string };

/** Runs `work` with an engine on this database, and closes all of its connections afterwards. */
export async function withEngine<T>(
  target: { databaseUrl: string; schemaFile: string },
  work: (engine: SchemaEngine, schema: { files: SchemaFile[] }) => Promise<T>,
): Promise<T> {
  const bindings = await loadEngine();
  const content = await readFile(target.schemaFile, 'utf8');
  const connections = new Connections(target.databaseUrl);
  const factory = bindMigrationAwareSqlAdapterFactory(connections);
  const datamodels: [string, string][] = [[target.schemaFile, content]];
  try {
    const engine = await bindings.SchemaEngine.new({ datamodels }, () => {}, factory);
    try {
      return await work(engine, { files: [{ path: target.schemaFile, content }] });
    } finally {
      engine.free();
    }
  } finally {
    await connections.dispose();
  }
}

/** The migrations of a folder, as the engine wants them. */
export async function readMigrations(folder: string): Promise<MigrationList> {
  const baseDir = path.resolve(folder);
  const entries = await readdir(baseDir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const migrationDirectories = await Promise.all(
    names.sort().map(async (name) => ({
      path: name,
      migrationFile: {
        path: 'migration.sql',
        content: await readFile(path.join(baseDir, name, 'migration.sql'), 'utf8').then(
          (value) => ({ tag: 'ok' as const, value }),
          (error: Error) => ({ tag: 'error' as const, value: error.message }),
        ),
      },
    })),
  );
  const lockFile = path.join(baseDir, 'migration_lock.toml');
  const content = await readFile(lockFile, 'utf8').catch(() => null);
  const lockfile = { path: 'migration_lock.toml', content };
  return { baseDir, lockfile, shadowDbInitScript: '', migrationDirectories };
}

class Connections implements SqlMigrationAwareDriverAdapterFactory {
  readonly provider = 'postgres';
  readonly adapterName = '@prisma/adapter-pg';
  private readonly open: SqlDriverAdapter[] = [];
  private readonly databaseUrl: string;

  constructor(databaseUrl: string) {
    this.databaseUrl = databaseUrl;
  }

  async connect(): Promise<SqlDriverAdapter> {
    const adapter = await connect(this.databaseUrl);
    this.open.push(adapter);
    return adapter;
  }

  /** engine.free() closes nothing: the process would linger until the pool's idle time-out. */
  async dispose(): Promise<void> {
    await Promise.allSettled(this.open.splice(0).map((adapter) => adapter.dispose()));
  }

  /**
   * adapter-pg's own would connect to the main database, because the name in a connection string
   * wins over an option. Dropped by dispose() as well, for when the engine fails half way.
   */
  async connectToShadowDb(): Promise<SqlDriverAdapter> {
    const name = `flash_shadow_${systemRandom.bytes(8).toString('hex')}`;
    const admin = new pg.Client({ connectionString: this.databaseUrl });
    await admin.connect();
    await admin.query(`CREATE DATABASE "${name}"`);
    const url = new URL(this.databaseUrl);
    url.pathname = `/${name}`;
    const shadow = await connect(url.href);
    const close = shadow.dispose.bind(shadow);
    let gone: Promise<void> | undefined;
    shadow.dispose = () => {
      gone ??= close()
        .then(() => admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`))
        .finally(() => admin.end())
        .then(() => undefined);
      return gone;
    };
    this.open.push(shadow);
    return shadow;
  }
}

async function connect(databaseUrl: string): Promise<SqlDriverAdapter> {
  // One connection: the engine's advisory lock belongs to a session.
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  const charColumns = renameCharColumns(pool);
  const adapter = await new PrismaPg(pool, { disposeExternalPool: true }).connect();
  // adapter-pg splits scripts at every ';', which cuts function bodies. Sent whole and without
  // parameters, the file is one implicit transaction, as with the native engine.
  adapter.executeScript = async (sql) => {
    await adapter.executeRaw({ sql, args: [], argTypes: [] });
  };
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (query) => {
    const result = await queryRaw(query);
    for (const i of charColumns.get(result.rows) ?? []) {
      result.columnTypes[i] = ColumnTypeEnum.Character;
    }
    return result;
  };
  return adapter;
}

/** adapter-pg does not know the catalogue's internal "char", which the engine's `diff` reads. */
function renameCharColumns(pool: pg.Pool): WeakMap<object, number[]> {
  const charColumns = new WeakMap<object, number[]>();
  const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<pg.QueryArrayResult>;
  const renaming = async (...args: unknown[]) => {
    const result = await query(...args);
    const found: number[] = [];
    for (const [i, field] of (result.fields ?? []).entries()) {
      if (field.dataTypeID !== PG_CHAR) continue;
      field.dataTypeID = PG_BPCHAR;
      found.push(i);
    }
    if (found.length > 0) charColumns.set(result.rows, found);
    return result;
  };
  pool.query = renaming as typeof pool.query;
  return charColumns;
}

// In the DOM's library only, as far as TypeScript and @types/node 20 know.
declare const WebAssembly: {
  instantiate(
    bytes: Uint8Array,
    imports: object,
  ): Promise<{ instance: { exports: Record<string, unknown> } }>;
};

type Bindings = typeof import('@prisma/schema-engine-wasm/schema_engine_bg');
let bindings: Promise<Bindings> | undefined;

function loadEngine(): Promise<Bindings> {
  bindings ??= instantiate();
  return bindings;
}

/** By hand, since the package's own entry is for bundlers. */
async function instantiate(): Promise<Bindings> {
  // Where the engine reports a panic before it aborts; without it, the abort hides the reason.
  const panics = { set_message: (message: string) => process.emitWarning(message) };
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: panics });
  const file = createRequire(import.meta.url).resolve(ENGINE);
  const engine = (await import(ENGINE)) as Bindings;
  const bytes = await readFile(path.join(path.dirname(file), 'schema_engine_bg.wasm'));
  const imports = Object.fromEntries(Object.entries(engine).map(unrefTimers));
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': imports });
  engine.__wbg_set_wasm(instance.exports);
  (instance.exports.__wbindgen_start as () => void)();
  return engine;
}

/** The engine never clears the 10 s timer of its advisory lock, which would keep the process up. */
function unrefTimers([name, value]: [string, unknown]): [string, unknown] {
  if (!name.startsWith('__wbg_setTimeout_')) return [name, value];
  const start = value as (...args: unknown[]) => NodeJS.Timeout;
  return [name, (...args: unknown[]) => start(...args).unref()];
}
