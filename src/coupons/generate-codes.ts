import { setImmediate } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { fingerprint } from '../kernel/crypto.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { notFound } from '../kernel/errors.ts';
import { once } from '../kernel/idempotency.ts';
import { type BatchId, newId } from '../kernel/ids.ts';
import { parse, text, whole } from '../kernel/input.ts';
import { drawTexts } from './code-text.ts';
import { MAX_BATCH, openBatch, prepareCodes, storeCodes } from './store-batch.ts';
import type { CodeBatch, Pool, PoolRef } from './types.ts';

const REDRAWS = 20;
const CHUNK = 1_000;

type Generate = PoolRef & { count: number; idempotencyKey?: string | null | undefined };

/**
 * Generates a batch of `count` (1..5,000) distinct codes, or none.
 *
 * Locks: POOL shared, CODE_SPACE.
 * Refusals: none; CONFLICT in ACTIVE and ARCHIVED, beyond maxCodes, or for a key used otherwise.
 * A retry with the same idempotencyKey returns the first batch.
 * Events: pool.codes_added.
 */
export async function generateCodes(deps: Deps, args: Generate): Promise<CodeBatch> {
  const count = parse(whole(1, MAX_BATCH), args.count, 'count');
  const key = parse(text(200).nullish(), args.idempotencyKey, 'idempotencyKey') ?? undefined;
  const { programId, poolId } = args;
  const pool = await deps.db.pool.findUnique({
    where: { programId_id: { programId, id: poolId } },
  });
  if (!pool) throw notFound('poolId', 'pool');
  const mint = prepareMint(deps, { pool, count, topUp: false });
  return inTransaction(deps, async (tx) => {
    const id = await once(tx, {
      programId,
      operation: 'generateCodes',
      key,
      fingerprints: fingerprint([poolId, String(count)]),
      resultId: mint.batchId,
      effect: () => mint.write(tx),
    });
    return tx.codeBatch.findUniqueOrThrow({ where: { programId_id: { programId, id } } });
  });
}

/**
 * What mints a batch within a transaction: n distinct codes or an error. A code that exists already
 * (with 75 random bits it practically never does) is drawn anew.
 */
export function prepareMint(deps: Deps, of: { pool: Pool; count: number; topUp: boolean }) {
  const { pool, count, topUp } = of;
  const { prefix } = pool;
  const { lookupKeys } = deps.config;
  const batchId = newId<BatchId>(deps);
  const place = { programId: pool.programId, poolId: pool.id } as PoolRef;
  const write = async (tx: Tx) => {
    await openBatch(tx, { ...place, batchId, count, prefix, lookupKeys, topUp });
    await mint(tx, { deps, batchId, pool, count });
  };
  return { batchId, write };
}

type Drawing = { deps: Deps; batchId: BatchId; pool: Pool; count: number };

/** So many codes for an open batch, all distinct. */
export async function mint(tx: Tx, drawing: Drawing): Promise<void> {
  let left = drawing.count;
  for (let redraw = 0; left > 0; redraw++) {
    if (redraw > REDRAWS) throw new Error('the source of randomness repeats itself');
    left = await drawAndStore(tx, { ...drawing, count: left });
  }
}

/**
 * In chunks, so that the next codes are drawn and sealed while the database stores the last ones.
 * Answers how many of them were there already.
 */
async function drawAndStore(tx: Tx, { deps, batchId, pool, count }: Drawing): Promise<number> {
  const { prefix } = pool;
  const place = { programId: pool.programId, poolId: pool.id } as PoolRef;
  let taken = 0;
  let storing = Promise.resolve(0);
  for (let drawn = 0; drawn < count; drawn += CHUNK) {
    const texts = drawTexts(deps.random, { prefix, count: Math.min(CHUNK, count - drawn) });
    const codes = prepareCodes(deps, { ...place, prefix, texts });
    taken += await storing;
    storing = storeCodes(tx, { ...place, batchId, codes }).then((known) => known.length);
    storing.catch(() => {}); // waited for below, or in the next round
    await setImmediate(); // the statement leaves before the next codes keep the process busy
  }
  return taken + (await storing);
}
