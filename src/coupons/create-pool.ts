import type { Deps } from '../deps.ts';
import { fingerprint } from '../kernel/crypto.ts';
import { inTransaction } from '../kernel/db.ts';
import { once } from '../kernel/idempotency.ts';
import { newId, type PoolId, type ProgramId } from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { lockProgram } from '../kernel/locks.ts';
import { appendEvent } from '../kernel/outbox.ts';
import { checkReferences, type PoolInput, type PoolSettings, readPoolInput } from './pool-input.ts';
import type { Pool } from './types.ts';

type CreatePool = {
  programId: ProgramId;
  input: PoolInput;
  idempotencyKey?: string | null | undefined;
};

/**
 * Makes a pool in DRAFT.
 *
 * Locks: PROGRAM (chains of fallback pools are judged against each other).
 * Refusals: none; BAD_USER_INPUT names the field; CONFLICT for a key used with another payload.
 * A retry with the same idempotencyKey returns the first pool.
 * Events: pool.created.
 */
export async function createPool(deps: Deps, args: CreatePool): Promise<Pool> {
  const { programId } = args;
  const settings = readPoolInput(args.input);
  const key = parse(text(200).nullish(), args.idempotencyKey, 'idempotencyKey') ?? undefined;
  const resultId = newId<PoolId>(deps);
  return inTransaction(deps, async (tx) => {
    const id = await once(tx, {
      programId,
      operation: 'createPool',
      key,
      fingerprints: fingerprint(settingsText(settings)),
      resultId,
      effect: async () => {
        await lockProgram(tx, programId);
        await checkReferences(tx, { programId, poolId: resultId, settings });
        const [row] = await tx.$queryRaw<{ now: Date }[]>`
          SELECT program_now(${programId}::uuid) AS now`;
        const createdAt = row?.now as Date;
        await tx.pool.create({
          data: { programId, id: resultId, status: 'DRAFT', createdAt, ...settings },
        });
        await appendEvent(tx, { programId, type: 'pool.created', data: { poolId: resultId } });
      },
    });
    return tx.pool.findUniqueOrThrow({ where: { programId_id: { programId, id } } });
  });
}

const settingsText = (settings: PoolSettings): string[] =>
  Object.entries(settings)
    .map(([name, value]) => `${name}=${value instanceof Date ? value.toISOString() : value}`)
    .sort();
