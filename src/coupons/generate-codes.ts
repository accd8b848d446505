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

type Generate = PoolRef & { count: number; idempotencyKey?: string | null | undefined };

/**
 * Generates a batch of `count` (1..5,000) distinct codes, or none.
 *
 * Locks: POOL shared, CODE_SPACE.
 * Refusals: none; CONFLICT in ACTIVE and ARCHIVED, beyond maxCodes, or for a key used otherwise.
 * A retry with the same idempotencyKey returns the first batch.
 * Events: none.
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
 * Draws and seals the codes now, so that the locks are held for the writing alone. A code that
 * exists already (with 75 random bits it practically never does) is drawn anew; n distinct codes or
 * an error.
 */
export function prepareMint(deps: Deps, of: { pool: Pool; count: number; topUp: boolean }) {
  const { pool, count } = of;
  const batchId = newId<BatchId>(deps);
  const place = { programId: pool.programId, poolId: pool.id } as PoolRef;
  const draw = (n: number) => {
    const texts = drawTexts(deps.random, { prefix: pool.prefix, count: n });
    return prepareCodes(deps, { ...place, prefix: pool.prefix, texts });
  };
  const drawn = draw(count);
  const write = async (tx: Tx) => {
    const { prefix } = pool;
    const { lookupKeys } = deps.config;
    await openBatch(tx, { ...place, batchId, count, prefix, lookupKeys, topUp: of.topUp });
    let codes = drawn;
    for (let redraw = 0; codes.length > 0; redraw++) {
      if (redraw > REDRAWS) throw new Error('the source of randomness repeats itself');
      const taken = await storeCodes(tx, { ...place, batchId, codes });
      codes = draw(taken.length);
    }
  };
  return { batchId, write };
}
