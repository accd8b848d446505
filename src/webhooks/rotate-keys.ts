import type { Keyring, Random } from '../kernel/crypto.ts';
import type { Db } from '../kernel/db.ts';
import { inTransaction } from '../kernel/db.ts';
import { openSecret, sealSecret } from './secret.ts';

/** Less than Deps: nothing but the secrets and their keys is needed. */
type Rotating = { db: Db; random: Random; config: { encryptionKeys: Keyring } };

/**
 * Brings every secret of an endpoint under the current encryption key, while the service runs.
 * Answers how many were moved.
 *
 * Locks: the endpoint's row.
 * Refusals: none.
 * A retry finds nothing left to do.
 * Events: none.
 */
export async function resealSecrets(deps: Rotating): Promise<number> {
  const { id: current } = deps.config.encryptionKeys.current;
  const outdated = await deps.db.webhook.findMany({
    where: { OR: [{ secretKeyId: { not: current } }, { previousKeyId: { not: current } }] },
    select: { programId: true, id: true },
  });
  for (const place of outdated) await reseal(deps, place);
  return outdated.length;
}

type Place = { programId: string; id: string };

function reseal(deps: Rotating, { programId, id }: Place): Promise<void> {
  return inTransaction(deps, async (tx) => {
    await tx.$queryRaw`
      SELECT 1 AS one FROM webhooks
      WHERE program_id = ${programId}::uuid AND id = ${id}::uuid FOR UPDATE`;
    const where = { programId_id: { programId, id } };
    const webhook = await tx.webhook.findUniqueOrThrow({ where });
    const { previousSecret: secret, previousKeyId: secretKeyId } = webhook;
    const place = { programId, id };
    const now = sealSecret(deps, { ...place, text: openSecret(deps, webhook) });
    const before =
      secret && secretKeyId
        ? sealSecret(deps, { ...place, text: openSecret(deps, { ...place, secret, secretKeyId }) })
        : undefined;
    await tx.webhook.update({
      where,
      data: {
        ...now,
        ...(before && { previousSecret: before.secret, previousKeyId: before.secretKeyId }),
      },
    });
  });
}
