import type { Deps } from '../deps.ts';
import { findWebhook } from './queries.ts';
import { newSecret, sealSecret } from './secret.ts';
import type { Webhook, WebhookRef } from './types.ts';

const BOTH_VALID_MS = 24 * 60 * 60 * 1_000;

/**
 * Gives an endpoint a new secret, answered here and nowhere else. For a day messages are signed
 * with both, so that the receiver can change over in its own time.
 *
 * Locks: the endpoint's row, by one UPDATE.
 * Refusals: none; NOT_FOUND.
 * A retry makes another one; of the earlier ones only the last stays in force.
 * Events: none.
 */
export async function rotateWebhookSecret(
  deps: Deps,
  { programId, webhookId }: WebhookRef,
): Promise<{ webhook: Webhook; secret: string }> {
  await findWebhook(deps, { programId, webhookId });
  const text = newSecret(deps.random);
  const { secret, secretKeyId } = sealSecret(deps, { programId, id: webhookId, text });
  const until = new Date(deps.clock.now().getTime() + BOTH_VALID_MS);
  const changed = await deps.db.$executeRaw`
    UPDATE webhooks SET previous_secret = secret, previous_key_id = secret_key_id,
      previous_until = ${until}, secret = ${secret}, secret_key_id = ${secretKeyId}
    WHERE program_id = ${programId}::uuid AND id = ${webhookId}::uuid`;
  if (changed !== 1) throw new Error(`gave ${changed} webhooks a new secret instead of one`);
  return { webhook: await findWebhook(deps, { programId, webhookId }), secret: text };
}
