import type { Tx } from './db.ts';
import { conflict } from './errors.ts';

export type IdempotentCall = {
  programId: string;
  operation: string;
  /** Without a key the effect happens each time. */
  key: string | undefined;
  /** Of the payload; several where a keyring has several keys, the current one first. */
  fingerprints: readonly Buffer[];
  /** What the effect will be known by, such as the id of the batch. */
  resultId: string;
};

/**
 * Runs the effect once for each key, and answers the id that the first run had. The row is written
 * in the effect's own transaction, so that there is never one without the other; a second call that
 * comes meanwhile waits for the first. Throws CONFLICT when the key was used with another payload.
 */
export async function once(
  tx: Tx,
  call: IdempotentCall & { effect(): Promise<void> },
): Promise<string> {
  if (call.key === undefined) {
    await call.effect();
    return call.resultId;
  }
  const inserted = await tx.$executeRaw`
    INSERT INTO idempotency_keys (program_id, operation, key, fingerprint, result_id, created_at)
    VALUES (${call.programId}::uuid, ${call.operation}, ${call.key}, ${call.fingerprints[0]},
      ${call.resultId}::uuid, program_now(${call.programId}::uuid))
    ON CONFLICT DO NOTHING`;
  if (inserted === 1) {
    await call.effect();
    return call.resultId;
  }
  const { programId, operation, key } = call;
  const earlier = await tx.idempotencyKey.findUniqueOrThrow({
    where: { programId_operation_key: { programId, operation, key } },
  });
  if (!call.fingerprints.some((print) => print.equals(earlier.fingerprint)))
    throw conflict('idempotencyKey: already used with another payload');
  return earlier.resultId;
}
