/** Whether anything at all changed: rows and a checksum of every table. */
import type { Db } from '../../src/kernel/db.ts';

type Fingerprint = Record<string, string>;

/** When a key was last used changes with every request, and is left out. */
export async function snapshot(db: Db): Promise<Fingerprint> {
  const tables = await db.$queryRaw<{ name: string }[]>`
    SELECT table_name::text AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1`;
  const [row] = await db.$queryRaw<{ all: Fingerprint }[]>`
    SELECT jsonb_object_agg(name, sums) AS all FROM (
      SELECT name, (xpath('//row/sum/text()', query_to_xml(format(
        'SELECT count(*) || '':'' ||
           coalesce(md5(string_agg(line, '''' ORDER BY line)), '''') AS sum
         FROM (SELECT (to_jsonb(t) - ''last_used_at'')::text AS line FROM %I t) lines', name),
        false, false, '')))[1]::text AS sums
      FROM unnest(${tables.map((table) => table.name)}::text[]) name) tables`;
  return row?.all ?? {};
}
