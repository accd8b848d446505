/**
 * One PostgreSQL and one Redis for the whole run, and a migrated database that each file clones.
 */
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { startEmbedded } from '../../src/embedded/index.ts';
import { migrate } from '../../src/kernel/migrate.ts';
import { takeOut } from '../race/guards/take-out.ts';
import { assertSilent, forgetRecords } from './records.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    databaseUrl: string;
    redisUrl: string;
    testHome: string;
  }
}

export const TEMPLATE = 'flash_template';
const CLONE = 'flash_test_';

export default async function setup(project: TestProject) {
  const home = process.env.FLASH_TEST_HOME || '.flash-test';
  await forgetRecords(home);
  const servers = await startEmbedded({
    home,
    variable: 'FLASH_TEST_HOME',
    env: { PATH: process.env.PATH },
    database: TEMPLATE,
    // Data that lives as long as the run need not survive a power cut.
    postgresSettings: [
      'fsync=off',
      'synchronous_commit=off',
      'full_page_writes=off',
      'max_connections=300',
    ],
    redisSettings: ['databases 256'],
  });
  try {
    const { DATABASE_URL = '', REDIS_URL = '' } = servers.env;
    await emptyTemplate(DATABASE_URL);
    await migrate(DATABASE_URL);
    if (process.env.FLASH_GUARD) await takeOut(DATABASE_URL, process.env.FLASH_GUARD);
    project.provide('databaseUrl', DATABASE_URL);
    project.provide('redisUrl', REDIS_URL);
    project.provide('testHome', home);
  } catch (error) {
    await servers.stop();
    throw error;
  }
  return async () => {
    await servers.stop();
    await assertSilent(home);
  };
}

/**
 * Anew for each run: while the first migration is being written, it changes. Drops what a killed
 * run left.
 */
async function emptyTemplate(databaseUrl: string): Promise<void> {
  const url = new URL(databaseUrl);
  url.pathname = '/postgres';
  const admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  try {
    const { rows } = await admin.query<{ datname: string }>(
      "SELECT datname FROM pg_database WHERE starts_with(datname, 'flash_')",
    );
    const old = rows.map((row) => row.datname).filter((name) => isOurs(name));
    for (const name of old) await admin.query(`DROP DATABASE "${name}" WITH (FORCE)`);
    await admin.query(`CREATE DATABASE "${TEMPLATE}"`);
  } finally {
    await admin.end();
  }
}

const isOurs = (name: string) => name === TEMPLATE || name.startsWith(CLONE);
