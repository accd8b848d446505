/** Takes a guard out of a migrated database, so that a test can show that it needs it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import type { Edit } from './edits.ts';
import { guards } from './guards.ts';

const FUNCTIONS = path.join(import.meta.dirname, '../../../prisma/functions');

/** Throws when a text to be replaced is not there: a guard that moved must be found again. */
export async function takeOut(databaseUrl: string, name: string): Promise<void> {
  const guard = guards.find((one) => one.name === name);
  if (!guard) throw new Error(`FLASH_GUARD: there is no guard called ${name}`);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query('SET LOCAL check_function_bodies = off');
    for (const sql of await mutated(guard.edits)) await client.query(sql);
    for (const sql of guard.sql ?? []) await client.query(sql);
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
}

/** Each file once, with all of its replacements. */
async function mutated(edits: readonly Edit[]): Promise<string[]> {
  const files = new Map<string, string>();
  for (const edit of edits) {
    const name = `${edit.file}.sql`;
    const before = files.get(name) ?? (await readFile(path.join(FUNCTIONS, name), 'utf8'));
    const after = before.replaceAll(edit.replace, edit.by);
    if (after === before) throw new Error(`${name}: ${edit.replace} is not there to be taken out`);
    files.set(name, after);
  }
  return [...files.values()];
}
