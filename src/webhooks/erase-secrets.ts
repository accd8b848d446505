import type { Deps } from '../deps.ts';

/**
 * What no message is signed with any more is not kept.
 *
 * Locks: the endpoints' rows, by one UPDATE.
 * Refusals: none.
 * A retry finds nothing left to erase.
 * Events: none.
 */
export async function eraseOldSecrets({ db, clock }: Deps): Promise<void> {
  await db.webhook.updateMany({
    where: { previousUntil: { lte: clock.now() } },
    data: { previousSecret: null, previousKeyId: null, previousUntil: null },
  });
}
