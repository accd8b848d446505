import { z } from 'zod';
import type { Deps } from '../deps.ts';
import type { Keyring } from '../kernel/crypto.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { badInput, notFound } from '../kernel/errors.ts';
import { once } from '../kernel/idempotency.ts';
import { type BatchId, newId } from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { canonicalForm, isImportable, MAX_CODE_LENGTH } from './canonical.ts';
import { secretFingerprints } from './fingerprints.ts';
import {
  MAX_BATCH,
  openBatch,
  type PreparedCode,
  prepareCodes,
  storeCodes,
} from './store-batch.ts';
import type { CodeBatch, PoolRef } from './types.ts';

const NAMED_ROWS = 20;

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
  const { programId, poolId } = args;
  const key = parse(text(200).nullish(), args.idempotencyKey, 'idempotencyKey') ?? undefined;
  const texts = readTexts(args.codes);
  const pool = await deps.db.pool.findUnique({
    where: { programId_id: { programId, id: poolId } },
  });
  if (!pool) throw notFound('poolId', 'pool');
  const codes = prepareCodes(deps, { programId, poolId, prefix: pool.prefix, texts });
  const batchId = newId<BatchId>(deps);
  const { lookupKeys } = deps.config;
  return inTransaction(deps, async (tx) => {
    const id = await once(tx, {
      programId,
      operation: 'importCodes',
      key,
      fingerprints: secretFingerprints(deps, [poolId, ...texts.map(canonicalForm)]),
      resultId: batchId,
      effect: () =>
        storeAll(tx, { programId, poolId, batchId, codes, prefix: pool.prefix, lookupKeys }),
    });
    return tx.codeBatch.findUniqueOrThrow({ where: { programId_id: { programId, id } } });
  });
}

type Stored = PoolRef & {
  batchId: BatchId;
  codes: PreparedCode[];
  prefix: string;
  lookupKeys: Keyring;
};

async function storeAll(tx: Tx, batch: Stored) {
  await openBatch(tx, { ...batch, count: batch.codes.length, topUp: false });
  const taken = await storeCodes(tx, batch);
  if (taken.length > 0) throw rowsRefused(taken, 'codes that the program does not have yet');
}

function readTexts(codes: string[]): string[] {
  const list = z.array(z.string()).min(1).max(MAX_BATCH);
  if (!list.safeParse(codes).success) throw badInput('codes', `a list of 1 to ${MAX_BATCH} codes`);
  const texts = codes.map((code) => code.trim());
  const malformed = texts.flatMap((code, i) => (isImportable(code) ? [] : [i]));
  if (malformed.length > 0)
    throw rowsRefused(malformed, `4 to ${MAX_CODE_LENGTH} printable characters`);
  const seen = new Set<string>();
  const repeated = texts.flatMap((code, i) => {
    const size = seen.size;
    return seen.add(canonicalForm(code)).size === size ? [i] : [];
  });
  if (repeated.length > 0) throw rowsRefused(repeated, 'codes that differ from every earlier row');
  return texts;
}

/** Names rows by number, counted from 1: their text is what must not be repeated. */
function rowsRefused(positions: number[], expected: string) {
  const rows = positions.slice(0, NAMED_ROWS).map((position) => position + 1);
  const more = positions.length > NAMED_ROWS ? ` and ${positions.length - NAMED_ROWS} more` : '';
  return badInput('codes', `${expected}; rows ${rows.join(', ')}${more} are not`);
}
