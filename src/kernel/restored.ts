/**
 * Events are read in the order of transaction ids. A new server counts those from the beginning: in
 * a database that was loaded into it from a dump, or copied row by row, what is there lies beyond
 * what any reader may see, and what is new would come before it.
 */
import { Prisma } from '../generated/prisma/client.ts';
import { SetupError } from './setup-error.ts';

type Asking = (sql: Prisma.Sql) => Promise<unknown[]>;
type Ahead = { epoch: string };

// What a snapshot shows of this server's own was written below its end.
const AHEAD = Prisma.sql`
  SELECT ((max(last.xid) >> 32) + 1)::text AS epoch FROM programs p
  CROSS JOIN LATERAL (SELECT greatest(
    (SELECT e.xid FROM events e WHERE e.program_id = p.id ORDER BY e.xid DESC, e.id DESC LIMIT 1),
    (SELECT max(w.cursor_xid) - 1 FROM webhooks w WHERE w.program_id = p.id)) AS xid) last
  WHERE last.xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
  HAVING count(*) > 0`;

/** Throws a SetupError that names the cure, before anything is written behind what is there. */
export async function refuseRestored(ask: Asking): Promise<void> {
  const [ahead] = (await ask(AHEAD)) as Ahead[];
  if (!ahead) return;
  throw new SetupError(
    'the events of this database were written by a server that had come further in its count ' +
      'of transactions: they would not be read. Stop the server, run ' +
      `\`pg_resetwal --epoch=${ahead.epoch}\` on its data folder, ` +
      'best before the dump is loaded, and start it again (docs/events.md, "Another server")',
  );
}
