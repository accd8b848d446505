import type { Deps } from '../deps.ts';
import type { Keyring } from '../kernel/crypto.ts';
import type { Tx } from '../kernel/db.ts';
import { conflict, unavailable } from '../kernel/errors.ts';
import { type BatchId, type CodeId, type JobId, newIds } from '../kernel/ids.ts';
import { lockCodeSpace, lockPoolShared } from '../kernel/locks.ts';
import { appendEvent } from '../kernel/outbox.ts';
import { canonicalForm } from './canonical.ts';
import { mask } from './code-text.ts';
import { enterLookupKey } from './lookup-keys.ts';
import type { Pool, PoolRef } from './types.ts';
import { drawNonces, lookupHashes, type Sealed, sealCode } from './vault.ts';

export const MAX_BATCH = 5_000;

/** A code that is ready to be stored, made before the transaction so that no lock waits for it. */
export type PreparedCode = Sealed & { id: CodeId; masked: string; otherHashes: Buffer[] };

export function prepareCodes(
  deps: Deps,
  of: PoolRef & { prefix: string; texts: string[] },
): PreparedCode[] {
  const { programId, poolId, prefix, texts } = of;
  const ids = newIds<CodeId>(deps, texts.length);
  const nonces = drawNonces(deps.random, texts.length);
  const rotating = deps.config.lookupKeys.all.size > 1;
  return texts.map((text, i) => {
    const id = ids[i] as CodeId;
    const sealed = sealCode(deps, { programId, poolId, id, text, nonce: nonces[i] as Buffer });
    const otherHashes = rotating ? lookupHashes(deps, canonicalForm(text)).slice(1) : [];
    return { ...sealed, id, masked: mask(text, prefix), otherHashes };
  });
}

type BatchOf = PoolRef & { batchId: BatchId; count: number };

/**
 * Opens a batch in a pool that takes new codes now, and leaves the pool's status and the program's
 * code space locked until the transaction ends. Throws CONFLICT where the pool takes none, or not
 * so many; a job's batches have had their room since the job began.
 */
export async function openBatch(
  tx: Tx,
  batch: BatchOf & { topUp: boolean; prefix: string; lookupKeys: Keyring; jobId?: JobId },
): Promise<void> {
  const { programId, poolId, batchId: id, count, jobId } = batch;
  const pool = await lockForCodes(tx, { programId, poolId });
  await enterLookupKey(tx, batch);
  const open = batch.topUp ? pool.status === 'ACTIVE' : takesCodes(pool);
  if (!open)
    throw conflict(`poolId: codes are generated in DRAFT and PAUSED, not in ${pool.status}`);
  if (pool.prefix !== batch.prefix) throw unavailable('poolId: the pool was edited: ask again');
  if (!jobId) await checkRoom(tx, { pool, count });
  await tx.$executeRaw`
    INSERT INTO code_batches (program_id, id, pool_id, count, job_id, created_at)
    VALUES (${programId}::uuid, ${id}::uuid, ${poolId}::uuid, ${count}, ${jobId ?? null}::uuid,
      program_now(${programId}::uuid))`;
  if (jobId) return; // its codes are told of when they count
  const data = { poolId, batchId: id, count };
  await appendEvent(tx, { programId, type: 'pool.codes_added', data });
}

/** Keeps the pool in its status, and every other list of new codes of the program away. */
export async function lockForCodes(tx: Tx, { programId, poolId }: PoolRef): Promise<Pool> {
  await lockPoolShared(tx, { programId, poolId });
  await lockCodeSpace(tx, programId);
  return tx.pool.findUniqueOrThrow({ where: { programId_id: { programId, id: poolId } } });
}

export const takesCodes = ({ status }: Pool): boolean => status === 'DRAFT' || status === 'PAUSED';

/** Throws CONFLICT when `maxCodes` leaves no room for so many. */
export async function checkRoom(tx: Tx, { pool, count }: { pool: Pool; count: number }) {
  const room = await roomIn(tx, pool);
  if (count > room) throw conflict(`count: the pool's maxCodes leaves room for ${room} more codes`);
}

/**
 * How many codes `maxCodes` still allows. A batch counts with all that it ever made, a job with all
 * that it is to make, and one that was given up with nothing.
 */
export async function roomIn(
  db: Pick<Tx, '$queryRaw'>,
  pool: Pick<Pool, 'programId' | 'id' | 'maxCodes'>,
): Promise<number> {
  if (pool.maxCodes === null) return Number.MAX_SAFE_INTEGER;
  const [row] = await db.$queryRaw<{ made: bigint }[]>`
    SELECT coalesce((SELECT sum(b.count) FROM code_batches b
        WHERE b.program_id = ${pool.programId}::uuid AND b.pool_id = ${pool.id}::uuid
          AND b.job_id IS NULL), 0)
      + coalesce((SELECT sum(j.count) FROM code_jobs j
        WHERE j.program_id = ${pool.programId}::uuid AND j.pool_id = ${pool.id}::uuid
          AND j.status IN ('RUNNING', 'SEALED')), 0) AS made`;
  return pool.maxCodes - Number(row?.made);
}

/**
 * Stores what is new and answers the positions of the codes that exist in the program already,
 * under any look-up key. Within an open batch only: the code space is locked, so nobody adds the
 * same one.
 */
export async function storeCodes(
  tx: Tx,
  batch: PoolRef & { batchId: BatchId; codes: PreparedCode[] },
): Promise<number[]> {
  const { codes } = batch;
  const known = await knownUnderOtherKeys(tx, batch);
  const fresh = codes.filter((_, i) => !known.has(i));
  const stored = await tx.$executeRaw`
    INSERT INTO codes (program_id, id, pool_id, batch_id, ciphertext, key_id, lookup_hash,
      lookup_key_id, masked, status)
    SELECT ${batch.programId}::uuid, c.id, ${batch.poolId}::uuid, ${batch.batchId}::uuid,
      c.ciphertext, ${codes[0]?.keyId}, c.hash, ${codes[0]?.lookupKeyId}, c.masked, 'AVAILABLE'
    FROM unnest(${fresh.map((c) => c.id)}::uuid[], ${fresh.map((c) => c.ciphertext)}::bytea[],
      ${fresh.map((c) => c.lookupHash)}::bytea[], ${fresh.map((c) => c.masked)}::text[])
      AS c(id, ciphertext, hash, masked)
    ON CONFLICT (program_id, lookup_hash) DO NOTHING`;
  return stored === codes.length ? [] : missing(tx, batch);
}

/** The positions of the codes that were not stored. */
async function missing(tx: Tx, batch: PoolRef & { codes: PreparedCode[] }): Promise<number[]> {
  const rows = await tx.code.findMany({
    where: { programId: batch.programId, id: { in: batch.codes.map((code) => code.id) } },
    select: { id: true },
  });
  const stored = new Set<string>(rows.map((row) => row.id));
  return batch.codes.flatMap((code, i) => (stored.has(code.id) ? [] : [i]));
}

/**
 * While look-up keys rotate, a code may stand under an older one, which the unique index can't see.
 */
async function knownUnderOtherKeys(
  tx: Tx,
  batch: PoolRef & { codes: PreparedCode[] },
): Promise<Set<number>> {
  const hashes = batch.codes.flatMap((code) => code.otherHashes);
  if (hashes.length === 0) return new Set();
  const rows = await tx.$queryRaw<{ hash: string }[]>`
    SELECT encode(lookup_hash, 'hex') AS hash FROM codes
    WHERE program_id = ${batch.programId}::uuid AND lookup_hash = ANY (${hashes}::bytea[])`;
  const found = new Set(rows.map((row) => row.hash));
  const isKnown = (code: PreparedCode) =>
    code.otherHashes.some((h) => found.has(h.toString('hex')));
  return new Set(batch.codes.flatMap((code, i) => (isKnown(code) ? [i] : [])));
}
