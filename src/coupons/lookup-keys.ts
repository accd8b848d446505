import type { Keyring } from '../kernel/crypto.ts';
import type { Tx } from '../kernel/db.ts';
import { unavailable } from '../kernel/errors.ts';

type Of = { programId: string; lookupKeys: Keyring };

/**
 * Says that codes are about to stand under the current look-up key. Throws SERVICE_UNAVAILABLE when
 * some stand under a key that this process does not hold: it would not see that a code is there
 * already. Within the CODE_SPACE lock.
 */
export async function enterLookupKey(tx: Tx, { programId, lookupKeys }: Of): Promise<void> {
  const held = [...lookupKeys.all.keys()];
  const unknown = await tx.lookupKey.findFirst({ where: { programId, keyId: { notIn: held } } });
  if (unknown)
    throw unavailable(
      'FLASH_LOOKUP_KEYS lacks a key that codes stand under: restart with the whole keyring',
    );
  await tx.lookupKey.createMany({
    data: [{ programId, keyId: lookupKeys.current.id }],
    skipDuplicates: true,
  });
}

/** Forgets the keys under which no code stands any more. Within the CODE_SPACE lock. */
export async function forgetLookupKeys(tx: Tx, { programId, lookupKeys }: Of): Promise<void> {
  await tx.$executeRaw`
    DELETE FROM lookup_keys k
    WHERE program_id = ${programId}::uuid AND key_id <> ${lookupKeys.current.id}
      AND NOT EXISTS (SELECT FROM codes c
        WHERE c.program_id = k.program_id AND c.lookup_key_id = k.key_id)`;
}
