/** Lots by the hundred thousand, as if they had been earned, and the old ones spent. */
import type { ProgramId } from '../src/kernel/ids.ts';
import { createProgram } from '../src/programs/index.ts';
import type { World } from './world.ts';

/** Measured by every award, reached by none; bench/sql/award.sql has the same. */
export const DAILY_CAP = 1_000;

export type Shop = { programId: ProgramId; secretKey: string };

export async function newShop(deps: World['deps'], name: string): Promise<Shop> {
  const settings = { dailyCap: DAILY_CAP };
  const input = { name, currency: 'USD', timeZone: 'UTC', sandbox: false, settings };
  const { program, secretKey } = await createProgram(deps, { input });
  return { programId: program.id as ProgramId, secretKey };
}

const CHUNK_OF_LOTS = 100_000;

type Lots = {
  programId: ProgramId;
  /** The number of the first of these members. */
  first: number;
  members: number;
  /** Lots that are spent to the last point, and lots of ten points each, for every member. */
  gone: number;
  open: number;
};

/** What the engine would have written but for spends and their draws, at which nobody looks. */
export async function giveLots(world: World, lots: Lots): Promise<void> {
  const each = lots.gone + lots.open;
  const size = Math.max(1, Math.floor(CHUNK_OF_LOTS / each));
  for (let done = 0; done < lots.members; done += size) {
    const members = Math.min(size, lots.members - done);
    await giveChunk(world, { ...lots, first: lots.first + done, members });
  }
}

async function giveChunk({ sql }: World, of: Lots): Promise<void> {
  const client = await sql.connect();
  try {
    await client.query('BEGIN');
    // The triggers judge one row at a time, and these rows are right.
    await client.query('SET LOCAL session_replication_role = replica');
    const values = [of.programId, of.first, of.members, of.gone, of.open];
    await client.query(LOTS, values);
    await client.query(JOURNAL, values);
    await client.query(OUTSTANDING, [of.programId, of.first, of.members, of.open]);
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

const MEMBER = `('00000000-0000-7000-8000-' || lpad(to_hex(m), 12, '0'))::uuid`;
const EACH = `generate_series($2::bigint, $2::bigint + $3::bigint - 1) m,
  generate_series(1, $4::int + $5::int) n`;

const LOTS = `
  INSERT INTO ledger_batches (program_id, id, member_id, source, generation, requested, points,
    remaining, drawn, day, reason, earned_at, matures_at, expires_at, created_at)
  SELECT $1, uuidv7(), ${MEMBER}, 'MANUAL', 1, 10, 10, CASE WHEN n > $4 THEN 10 ELSE 0 END,
    CASE WHEN n > $4 THEN 0 ELSE 10 END, a.at::date, 'bench', a.at, a.at,
    now() + interval '1 year', a.at
  FROM ${EACH}, LATERAL (
    SELECT now() - (1 + $4::int + $5::int - n) * interval '1 minute' AS at) a
  ORDER BY m, n`;

/** Ten in and ten out for each lot that is gone, ten in for each that is open. */
const JOURNAL = `
  INSERT INTO ledger_entries (program_id, member_id, kind, points, balance_after, at)
  SELECT $1, ${MEMBER}, l.kind::ledger_entry_kind, l.points,
    CASE WHEN n > $4 THEN 10 * (n - $4) WHEN l.points > 0 THEN 10 ELSE 0 END, now()
  FROM ${EACH}, LATERAL (VALUES ('AWARD', 10), ('SPEND', -10)) l (kind, points)
  WHERE n <= $4 OR l.points > 0
  ORDER BY m, n, l.points DESC`;

const OUTSTANDING = `
  UPDATE members SET outstanding = 10 * $4::int
  WHERE program_id = $1 AND id IN (
    SELECT ${MEMBER} FROM generate_series($2::bigint, $2::bigint + $3::bigint - 1) m)`;
