import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { badInput, notFound } from '../kernel/errors.ts';
import { feedEnd, isAfter, readCursor } from '../kernel/feed.ts';
import { lockWebhook } from './sql/deliveries.ts';
import type { Webhook, WebhookRef } from './types.ts';

/**
 * Moves an endpoint's place: what comes after it is delivered (again), dead letters among it, and
 * at once: a rest is over. What waits from before it goes on waiting for its turn.
 *
 * Locks: the endpoint's row: a delivery that is under way finds that its place has moved, and
 * leaves it.
 * Refusals: none; BAD_USER_INPUT for what is no place in the feed; NOT_FOUND.
 * A retry moves it there again.
 * Events: none.
 */
export async function replayWebhook(
  deps: Deps,
  { programId, webhookId, after }: WebhookRef & { after: string },
): Promise<Webhook> {
  const cursor = readCursor(after);
  if (!cursor || isAfter(cursor, await feedEnd(deps)))
    throw badInput('after', 'the id of an event, or a cursor that was answered');
  return inTransaction(deps, async (tx) => {
    if (!(await lockWebhook(tx, { programId, webhookId }))) throw notFound('id', 'webhook');
    await tx.$executeRaw`
      DELETE FROM webhook_deliveries
      WHERE program_id = ${programId}::uuid AND webhook_id = ${webhookId}::uuid
        AND (event_xid, event_id) > (${cursor.xid}::bigint, ${cursor.id}::bigint)`;
    return tx.webhook.update({
      where: { programId_id: { programId, id: webhookId } },
      data: { cursorXid: cursor.xid, cursorId: cursor.id, resumeAt: null },
    });
  });
}
