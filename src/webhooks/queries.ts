import type { Deps } from '../deps.ts';
import { badInput, notFound } from '../kernel/errors.ts';
import { cursorText, readAfter, type StoredEvent } from '../kernel/feed.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { type Connection, type PageArgs, readPage } from '../kernel/page.ts';
import type { Webhook, WebhookRef } from './types.ts';

/** Ids are made in order of time, so this is the order in which they were created. */
export const listWebhooks = (deps: Deps, { programId }: { programId: ProgramId }) =>
  deps.db.webhook.findMany({ where: { programId }, orderBy: { id: 'asc' } });

/** NOT_FOUND for one that is not of this program. */
export async function findWebhook(
  deps: Deps,
  { programId, webhookId: id }: WebhookRef,
): Promise<Webhook> {
  const webhook = await deps.db.webhook.findUnique({ where: { programId_id: { programId, id } } });
  if (!webhook) throw notFound('id', 'webhook');
  return webhook;
}

/** The events that an endpoint has not taken in three days, oldest first. */
export async function listDeadLetters(
  deps: Deps,
  { programId, webhookId, ...args }: WebhookRef & PageArgs,
): Promise<Connection<StoredEvent>> {
  const { take } = readPage({ first: args.first });
  const after = readAfter(args.after);
  if (!after) throw badInput('after', 'an endCursor of an earlier page');
  const rows = await deps.db.$queryRaw<StoredEvent[]>`
    SELECT e.program_id::text AS "programId", e.xid, e.id, e.type,
      e.member_id::text AS "memberId", e.data, e.at
    FROM webhook_deliveries d
    JOIN events e ON e.program_id = d.program_id AND e.xid = d.event_xid AND e.id = d.event_id
    WHERE d.program_id = ${programId}::uuid AND d.webhook_id = ${webhookId}::uuid
      AND (d.event_xid, d.event_id) > (${after.xid}::bigint, ${after.id}::bigint)
      AND d.dead_at IS NOT NULL
    ORDER BY d.event_xid, d.event_id LIMIT ${take}`;
  const nodes = rows.slice(0, args.first);
  const last = nodes.at(-1);
  const endCursor = last ? cursorText(last) : null;
  return { nodes, pageInfo: { hasNextPage: rows.length > args.first, endCursor } };
}
