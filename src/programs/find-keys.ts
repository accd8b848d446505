import type { Deps } from '../deps.ts';
import type { Db } from '../kernel/db.ts';
import type { ProgramId, SecretKeyId } from '../kernel/ids.ts';
import type { Scope } from './types.ts';

export type FoundKey = { id: SecretKeyId; programId: ProgramId; scopes: Scope[] };
type Wanted = { programId: ProgramId; hash: Buffer };
type Row = FoundKey & { hash: Uint8Array; lastUsedAt: Date | null };
type Waiting = Wanted & {
  answer: Promise<FoundKey | undefined>;
  resolve(found: FoundKey | undefined): void;
  reject(error: unknown): void;
};

const USED_AT_MOST_EVERY_MS = 60_000;

type Desk = { waiting: Map<string, Waiting>; busy: boolean };
const desks = new WeakMap<Db, Desk>();

/**
 * The key in force that has this hash. Requests that ask while a look-up is under way share the
 * next one: one short statement at a time, however many ask, and still none answered from memory,
 * so that a key that was revoked is refused from the very next request on.
 */
export function findKey(deps: Deps, wanted: Wanted): Promise<FoundKey | undefined> {
  const desk = deskOf(deps.db);
  const name = wanted.programId + wanted.hash.toString('latin1');
  const asked = desk.waiting.get(name);
  if (asked) return asked.answer;
  const waiting = { ...wanted, ...promised<FoundKey | undefined>() };
  desk.waiting.set(name, waiting);
  if (!desk.busy) void serve(deps, desk);
  return waiting.answer;
}

function deskOf(db: Db): Desk {
  const desk = desks.get(db) ?? { waiting: new Map(), busy: false };
  desks.set(db, desk);
  return desk;
}

function promised<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const answer = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { answer, resolve, reject };
}

async function serve(deps: Deps, desk: Desk): Promise<void> {
  desk.busy = true;
  while (desk.waiting.size > 0) {
    const batch = desk.waiting;
    desk.waiting = new Map();
    await answerAll(deps, batch);
  }
  desk.busy = false;
}

async function answerAll(deps: Deps, batch: Map<string, Waiting>): Promise<void> {
  const asked = [...batch.values()];
  try {
    const rows = await lookUp(deps, asked);
    await recordUse(deps, rows);
    const found = new Map(rows.map((row) => [row.programId + latin1(row.hash), row]));
    for (const [name, one] of batch) one.resolve(found.get(name));
  } catch (error) {
    for (const one of asked) one.reject(error);
  }
}

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

function lookUp(deps: Deps, asked: Wanted[]): Promise<Row[]> {
  const programs = asked.map((one) => one.programId);
  const hashes = asked.map((one) => one.hash);
  return deps.db.$queryRaw<Row[]>`
    SELECT k.id::text, k.program_id::text AS "programId", k.scopes::text[] AS scopes, k.hash,
      k.last_used_at AS "lastUsedAt"
    FROM unnest(${programs}::uuid[], ${hashes}::bytea[]) AS asked (program_id, hash)
    JOIN secret_keys k USING (program_id, hash)
    WHERE k.revoked_at IS NULL`;
}

/**
 * Once a minute for each key. A row that another process is writing is skipped: it does the same.
 */
async function recordUse(deps: Deps, rows: Row[]): Promise<void> {
  const now = deps.clock.now();
  const before = new Date(now.getTime() - USED_AT_MOST_EVERY_MS);
  const stale = rows.filter((row) => row.lastUsedAt === null || row.lastUsedAt < before);
  if (stale.length === 0) return;
  const programs = stale.map((row) => row.programId);
  const ids = stale.map((row) => row.id);
  await deps.db.$executeRaw`
    UPDATE secret_keys k SET last_used_at = ${now}
    FROM (
      SELECT program_id, id
      FROM unnest(${programs}::uuid[], ${ids}::uuid[]) AS used (program_id, id)
      JOIN secret_keys USING (program_id, id)
      WHERE last_used_at IS NULL OR last_used_at < ${before}
      FOR UPDATE OF secret_keys SKIP LOCKED
    ) AS stale
    WHERE k.program_id = stale.program_id AND k.id = stale.id`;
}
