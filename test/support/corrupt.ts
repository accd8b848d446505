/** Somebody whom no rule of the database stops, for tests of what `reconcile` then names. */
import type pg from 'pg';

/** No triggers and no foreign keys for this session; the CHECKs are dropped altogether. */
export async function unguard(client: pg.Client): Promise<void> {
  await client.query('SET session_replication_role = replica');
  const { rows } = await client.query<{ sql: string }>(`
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS sql
    FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace`);
  for (const { sql } of rows) await client.query(sql);
}
