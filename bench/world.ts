/** Everything that the lines share: servers of their own, one API process, the load generator. */
import process from 'node:process';
import { SingleBar } from 'cli-progress';
import pg from 'pg';
import { readConfig } from '../src/config.ts';
import { type OpenDeps, openDeps } from '../src/deps.ts';
import { type Embedded, startEmbedded } from '../src/embedded/index.ts';
import type { PoolId, ProgramId } from '../src/kernel/ids.ts';
import { migrate } from '../src/kernel/migrate.ts';
import { type Api, startApi } from './api.ts';
import { onEnd } from './cleanup.ts';
import { type Load, startLoad } from './load/client.ts';
import type { Options } from './options.ts';
import { findPgbench } from './pgbench.ts';
import { newShop } from './seed-points.ts';
import { hasStatementCounts, LOAD_STATEMENT_COUNTS, track } from './statements.ts';

export const CONNECTIONS = 64;
const DATABASE = 'flash_bench';

export type World = {
  options: Options;
  env: Record<string, string>;
  databaseUrl: string;
  postgres: string;
  countsStatements: boolean;
  pgbench: string | undefined;
  sql: pg.Pool;
  deps: OpenDeps;
  api: Api;
  load: Load;
  programId: ProgramId;
  secretKey: string;
  /** Pools that several lines use, by name: made when the first of them asks. */
  pools: Map<string, Promise<PoolId>>;
  say(text: string): void;
  progress(title: string, total: number): { add(n: number): void; end(): void };
};

export async function openWorld(options: Options): Promise<World> {
  const home = process.env.FLASH_BENCH_HOME || '.flash-bench';
  const countsStatements = await hasStatementCounts();
  const servers = await startEmbedded({
    home,
    variable: 'FLASH_BENCH_HOME',
    env: { PATH: process.env.PATH },
    database: DATABASE,
    // Nothing that makes it faster: fsync, synchronous_commit and the rest are as PostgreSQL has
    // them. The counting of statements is loaded, and off but for the line that asks for it.
    postgresSettings: countsStatements ? LOAD_STATEMENT_COUNTS : [],
  });
  onEnd('embedded servers', servers.stop);
  const env = { ...servers.env, FLASH_LOG_LEVEL: 'warn' };
  const databaseUrl = servers.env.DATABASE_URL as string;
  await emptyDatabase(databaseUrl);
  onEnd('database', () => dropDatabase(databaseUrl));
  await migrate(databaseUrl);
  const world = { options, countsStatements, ...(await connect({ env, databaseUrl })), ...told };
  if (countsStatements) await track(world.sql, 'none');
  return world;
}

async function connect({ env, databaseUrl }: { env: Embedded['env']; databaseUrl: string }) {
  const sql = new pg.Pool({ connectionString: databaseUrl, max: 4, options: '-c timezone=UTC' });
  sql.on('error', () => {});
  onEnd('connections', () => sql.end());
  const deps = await openDeps(readConfig(env));
  onEnd('engine', deps.close);
  const { programId, secretKey } = await newShop(deps, 'Bench');
  const { rows } = await sql.query<{ server_version: string }>('SHOW server_version');
  const api = await startApi(env);
  const postgres = rows[0]?.server_version ?? '';
  const pools: World['pools'] = new Map();
  const pgbench = await findPgbench();
  const load = startLoad();
  return { env, databaseUrl, postgres, pgbench, sql, deps, api, load, programId, secretKey, pools };
}

const told: Pick<World, 'say' | 'progress'> = {
  say: (text) => console.log(`  ${text}`),
  progress: (title, total) => {
    const bar = new SingleBar({
      format: `  ${title} {bar} {value}/{total} | {eta_formatted} left`,
      hideCursor: true,
      clearOnComplete: true,
      fps: 4,
    });
    bar.start(total, 0);
    const began = performance.now();
    return {
      add: (n) => bar.increment(n),
      end: () => {
        bar.stop();
        const seconds = (performance.now() - began) / 1000;
        console.log(`  ${title}: ${total} in ${seconds.toFixed(1)} s`);
      },
    };
  },
};

async function onServer(databaseUrl: string, statements: string[]): Promise<void> {
  const url = new URL(databaseUrl);
  url.pathname = '/postgres';
  const admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  try {
    for (const statement of statements) await admin.query(statement);
  } finally {
    await admin.end();
  }
}

const DROP = `DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`;

/** Each run begins with the same: nothing. */
const emptyDatabase = (databaseUrl: string) =>
  onServer(databaseUrl, [DROP, `CREATE DATABASE ${DATABASE}`]);

const dropDatabase = (databaseUrl: string) => onServer(databaseUrl, [DROP]);
