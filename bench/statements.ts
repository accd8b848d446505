/** Counts the statements that reach the database, where PostgreSQL has the means to. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type pg from 'pg';
import { postgresPrograms, unprivilegedAccount } from '../src/embedded/binaries.ts';

export const LOAD_STATEMENT_COUNTS = ['shared_preload_libraries=pg_stat_statements'];

/** A server that is told to load a library that it has not does not start. */
export async function hasStatementCounts(): Promise<boolean> {
  const bin = await postgresPrograms(await unprivilegedAccount());
  for (const folder of ['../lib/postgresql', '../lib']) {
    const files = await readdir(path.join(bin, folder)).catch(() => []);
    if (files.some((file) => /^pg_stat_statements\.(so|dylib|dll)$/.test(file))) return true;
  }
  return false;
}

/**
 * How many statements `work` sends, `BEGIN` and `COMMIT` included; whoever else sends some waits.
 */
export async function countStatements(sql: pg.Pool, work: () => Promise<unknown>): Promise<number> {
  const client = await sql.connect();
  try {
    await client.query('SELECT pg_stat_statements_reset()');
    await work();
    const { rows } = await client.query<{ calls: number }>(
      `SELECT coalesce(sum(calls), 0)::int AS calls FROM pg_stat_statements
       WHERE query NOT LIKE '%pg_stat_statements%'
         AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    );
    return rows[0]?.calls ?? Number.NaN;
  } finally {
    client.release();
  }
}

/** For every session there is: they read it again before their next statement. */
export async function track(sql: pg.Pool, what: 'none' | 'top'): Promise<void> {
  await sql.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
  await sql.query(`ALTER SYSTEM SET pg_stat_statements.track = '${what}'`);
  await sql.query('SELECT pg_reload_conf()');
  await sql.query('SELECT pg_sleep(0.3)');
}
