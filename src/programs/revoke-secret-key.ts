import type { Deps } from '../deps.ts';
import { notFound } from '../kernel/errors.ts';
import { type ProgramId, parseId, type SecretKeyId } from '../kernel/ids.ts';
import type { SecretKey } from './types.ts';

/**
 * Locks: the key's row, by one guarded UPDATE.
 * Refusals: none; NOT_FOUND for a key that is not of this program.
 * A retry returns the key as it was first revoked.
 * Events: none.
 */
export async function revokeSecretKey(
  deps: Deps,
  { programId, id }: { programId: ProgramId; id: string },
): Promise<SecretKey> {
  const keyId = parseId<SecretKeyId>(id);
  if (!keyId) throw notFound('id', 'secret key');
  await deps.db.secretKey.updateMany({
    where: { programId, id: keyId, revokedAt: null },
    data: { revokedAt: deps.clock.now() },
  });
  // No row changed: it is unknown, or was revoked before. Which of the two, the row itself says.
  const key = await deps.db.secretKey.findUnique({
    where: { programId_id: { programId, id: keyId } },
  });
  if (!key) throw notFound('id', 'secret key');
  return key;
}
