import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { notFound } from '../kernel/errors.ts';
import { reachOf } from './create-webhook.ts';
import { findWebhook } from './queries.ts';
import { hurryWaiting, lockWebhook } from './sql/deliveries.ts';
import type { Webhook, WebhookInput, WebhookRef } from './types.ts';
import { readWebhookInput } from './webhook-input.ts';

/**
 * Replaces what an endpoint was told about itself. One that is enabled keeps its place, so it is
 * told what it has missed; and it is tried at once, however long it has been failing, with what
 * waits for a later attempt too.
 *
 * Locks: the endpoint's row.
 * Refusals: none; BAD_USER_INPUT names the field; NOT_FOUND.
 * A retry writes the same settings again.
 * Events: none.
 */
export async function updateWebhook(
  deps: Deps,
  { programId, webhookId, input }: WebhookRef & { input: WebhookInput },
): Promise<Webhook> {
  await findWebhook(deps, { programId, webhookId });
  const settings = await readWebhookInput(input, reachOf(deps));
  return inTransaction(deps, async (tx) => {
    if (!(await lockWebhook(tx, { programId, webhookId }))) throw notFound('id', 'webhook');
    if (settings.enabled) await hurryWaiting(tx, { programId, webhookId, now: deps.clock.now() });
    return tx.webhook.update({
      where: { programId_id: { programId, id: webhookId } },
      data: { ...settings, failures: 0, failingSince: null, resumeAt: null },
    });
  });
}
