import type { Deps } from '../deps.ts';
import type { Keyring } from '../kernel/crypto.ts';
import type { Tx } from '../kernel/db.ts';
import { conflict, unavailable } from '../kernel/errors.ts';
import { type BatchId, type CodeId, newIds } from '../kernel/ids.ts';
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
 * so many.
 */
export async function openBatch(
  tx: Tx,
  batch: BatchOf & { topUp: boolean; prefix: string; lookupKeys: Keyring },
): Promise<void> {
  const { programId, poolId, batchId: id, count } = batch;
  await lockPoolShared(tx, { programId, poolId });
  await lockCodeSpace(tx, programId);
  await enterLookupKey(tx, batch);
  const pool = await tx.pool.findUniqueOrThrow({
    where: { programId_id: { programId, id: poolId } },
  });
  const open = batch.topUp ? pool.status === 'ACTIVE' : ['DRAFT', 'PAUSED'].includes(pool.status);
  if (!open)
    throw conflict(`poolId: codes are generated in DRAFT and PAUSED, not in ${pool.status}`);
  if (pool.prefix !== batch.prefix) throw unavailable('poolId: the pool was edited: ask again');
  const room = await roomIn(tx, pool);
  if (count > room) throw conflict(`count: the pool's maxCodes leaves room for ${room} more codes`);
  const [{ now } = { now: undefined }] = await tx.$queryRaw<{ now: Date }[]>`
    SELECT program_now(${programId}::uuid) AS now`;
  await tx.codeBatch.create({ data: { programId, id, poolId, count, createdAt: now as Date } });
  const data = { poolId, batchId: id, count };
  await appendEvent(tx, { programId, type: 'pool.codes_added', data });
}

/** How many codes `maxCodes` still allows; a batch counts with all that it ever made. */
export async function roomIn(tx: Tx, pool: Pool): Promise<number> {
  if (pool.maxCodes === null) return Number.MAX_SAFE_INTEGER;
  const made = await tx.codeBatch.aggregate({
    where: { programId: pool.programId, poolId: pool.id },
    _sum: { count: true },
  });
  return pool.maxCodes - (made._sum.count ?? 0);
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
