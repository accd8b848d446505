import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { badInput, notFound } from '../kernel/errors.ts';
import { once } from '../kernel/idempotency.ts';
import { type BatchId, newId } from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { canonicalForm } from './canonical.ts';
import { secretFingerprints } from './fingerprints.ts';
import {
  conflictsWithin,
  type ImportConflict,
  type ImportRow,
  rowsRefused,
} from './import-rows.ts';
import { MAX_BATCH, openBatch, prepareCodes, storeCodes } from './store-batch.ts';
import type { CodeBatch, Pool, PoolRef } from './types.ts';
import { lookupHashes } from './vault.ts';

type Import = PoolRef & { codes: string[]; idempotencyKey?: string | null | undefined };

/**
 * Takes over codes that exist elsewhere, as one batch or not at all.
 *
 * Locks: POOL shared, CODE_SPACE.
 * Refusals: none; BAD_USER_INPUT names the rows that are malformed, or equal to an earlier row or
 * to a code of the program; CONFLICT as for generateCodes.
 * A retry with the same idempotencyKey returns the first batch.
 * Events: pool.codes_added.
 */
export async function importCodes(deps: Deps, args: Import): Promise<CodeBatch> {
  const { codes, ...of } = args;
  const key = parse(text(200).nullish(), args.idempotencyKey, 'idempotencyKey') ?? undefined;
  const texts = z.array(z.string()).min(1).max(MAX_BATCH);
  if (!texts.safeParse(codes).success) throw badInput('codes', `a list of 1 to ${MAX_BATCH} codes`);
  const rows = codes.map((code, i) => ({ row: i + 1, text: code.trim() }));
  const within = conflictsWithin(rows);
  const pool = await poolOf(deps, of);
  const list = { pool, rows, key };
  if (within.length > 0)
    throw rowsRefused([...within, ...(await takenRows(deps, { ...list, within }))]);
  const { batch, taken } = await importRows(deps, { ...list, operation: 'importCodes' });
  if (!batch) throw rowsRefused(taken);
  return batch;
}

export async function poolOf(deps: Deps, { programId, poolId }: PoolRef): Promise<Pool> {
  const where = { programId_id: { programId, id: poolId } };
  const pool = await deps.db.pool.findUnique({ where });
  if (!pool) throw notFound('poolId', 'pool');
  return pool;
}

export type Rows = { pool: Pool; rows: readonly ImportRow[]; key: string | undefined };
type Imported = { batch: CodeBatch | undefined; taken: ImportConflict[] };

/** Rows that have no conflict with each other: the batch, or those that the program has already. */
export async function importRows(
  deps: Deps,
  { pool, rows, key, operation }: Rows & { operation: string },
): Promise<Imported> {
  const place = { programId: pool.programId, poolId: pool.id } as PoolRef;
  const { programId, poolId } = place;
  const texts = rows.map((row) => row.text);
  const codes = prepareCodes(deps, { ...place, prefix: pool.prefix, texts });
  const batchId = newId<BatchId>(deps);
  const { lookupKeys } = deps.config;
  const effect = async (tx: Tx) => {
    const batch = { ...place, batchId, prefix: pool.prefix, lookupKeys };
    await openBatch(tx, { ...batch, count: codes.length, topUp: false });
    const known = await storeCodes(tx, { ...batch, codes });
    if (known.length > 0) throw new Taken(known.map((i) => rows[i] as ImportRow));
  };
  const work = inTransaction(deps, async (tx) => {
    const id = await once(tx, {
      programId,
      operation,
      key,
      fingerprints: secretFingerprints(deps, [poolId, ...texts.map(canonicalForm)]),
      resultId: batchId,
      effect: () => effect(tx),
    });
    return tx.codeBatch.findUniqueOrThrow({ where: { programId_id: { programId, id } } });
  });
  return work.then(
    (batch) => ({ batch, taken: [] }),
    (error: unknown) => {
      if (error instanceof Taken) return { batch: undefined, taken: error.conflicts };
      throw error;
    },
  );
}

/** Of the rows that have no conflict within, those that the program has under any look-up key. */
export async function takenRows(
  deps: Deps,
  { pool, rows, within }: Rows & { within: readonly ImportConflict[] },
): Promise<ImportConflict[]> {
  const skipped = new Set(within.map(({ row }) => row));
  const asked = rows
    .filter(({ row }) => !skipped.has(row))
    .map(({ row, text }) => ({ row, hashes: lookupHashes(deps, canonicalForm(text)) }));
  const found = await deps.db.$queryRaw<{ hash: string }[]>`
    SELECT encode(lookup_hash, 'hex') AS hash FROM codes
    WHERE program_id = ${pool.programId}::uuid
      AND lookup_hash = ANY (${asked.flatMap(({ hashes }) => hashes)}::bytea[])`;
  const taken = new Set(found.map(({ hash }) => hash));
  return asked
    .filter(({ hashes }) => hashes.some((hash) => taken.has(hash.toString('hex'))))
    .map(({ row }) => ({ row, problem: 'TAKEN' }));
}

/** Rolls the transaction back. */
class Taken extends Error {
  readonly conflicts: ImportConflict[];

  constructor(rows: readonly ImportRow[]) {
    super('codes that the program has already');
    this.conflicts = rows.map(({ row }) => ({ row, problem: 'TAKEN' }));
  }
}
