import type { Db, Tx } from '../../kernel/db.ts';
import type { Cursor, StoredEvent } from '../../kernel/feed.ts';
import type { ProgramId, WebhookId } from '../../kernel/ids.ts';
import type { WebhookRef } from '../types.ts';

/** Null: it has never been tried. */
export type Tried = { attempts: number; firstTriedAt: Date | null };
export type Waiting = StoredEvent & Tried;

/** Until the transaction ends nobody moves its place, or settles what waits. False: no such one. */
export async function lockWebhook(tx: Tx, { programId, webhookId }: WebhookRef): Promise<boolean> {
  const rows = await tx.$queryRaw<unknown[]>`
    SELECT 1 AS one FROM webhooks
    WHERE program_id = ${programId}::uuid AND id = ${webhookId}::uuid FOR UPDATE`;
  return rows.length === 1;
}

/**
 * Endpoints that are enabled, do not rest, and have something to be told; but for those that
 * somebody is telling just now. Of one program, or of all; whose last turn was longest ago first.
 */
export function dueWebhooks(
  db: Db,
  { now, programId = null }: { now: Date; programId?: ProgramId | null },
): Promise<WebhookRef[]> {
  return db.$queryRaw<{ programId: ProgramId; webhookId: WebhookId }[]>`
    SELECT w.program_id::text AS "programId", w.id::text AS "webhookId" FROM webhooks w
    WHERE (${programId}::uuid IS NULL OR w.program_id = ${programId}::uuid)
      AND w.enabled AND (w.resume_at IS NULL OR w.resume_at <= ${now})
      AND NOT EXISTS (SELECT FROM leases l WHERE l.program_id = w.program_id
        AND l.name = 'webhook:' || w.id AND l.until > ${now})
      AND (EXISTS (SELECT FROM read_events(w.program_id, w.cursor_xid, w.cursor_id, 1))
        OR EXISTS (SELECT FROM webhook_deliveries d
          WHERE d.program_id = w.program_id AND d.webhook_id = w.id AND d.dead_at IS NULL
            AND d.next_attempt_at <= ${now}))
    ORDER BY w.served_at NULLS FIRST, w.program_id, w.id`;
}

/** What waits for its next attempt, and may have it: of each member at most the first. */
export function dueDeliveries(
  db: Db,
  { programId, webhookId, now, limit }: WebhookRef & { now: Date; limit: number },
): Promise<Waiting[]> {
  return db.$queryRaw<Waiting[]>`
    SELECT e.program_id::text AS "programId", e.xid, e.id, e.type,
      e.member_id::text AS "memberId", e.data, e.at, d.attempts,
      d.first_tried_at AS "firstTriedAt"
    FROM webhook_deliveries d
    JOIN events e ON e.program_id = d.program_id AND e.xid = d.event_xid AND e.id = d.event_id
    WHERE d.program_id = ${programId}::uuid AND d.webhook_id = ${webhookId}::uuid
      AND d.dead_at IS NULL AND d.next_attempt_at <= ${now}
    ORDER BY d.next_attempt_at, d.event_xid, d.event_id LIMIT ${limit}`;
}

/** Of these members those for whom something waits already: what comes next waits behind it. */
export async function membersWaiting(
  db: Db,
  { programId, webhookId, members }: WebhookRef & { members: string[] },
): Promise<Set<string>> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT m.id::text FROM unnest(${members}::uuid[]) m(id)
    WHERE EXISTS (SELECT FROM webhook_deliveries d
      WHERE d.program_id = ${programId}::uuid AND d.webhook_id = ${webhookId}::uuid
        AND d.member_id = m.id AND d.dead_at IS NULL)`;
  return new Set(rows.map(({ id }) => id));
}

export type Undelivered = Cursor & Tried & { memberId: string | null; nextAttemptAt: Date };

/**
 * What of a page was not delivered, in the order of the page. The first one of a member has its
 * turn at its time, the others when all before them are out of the way.
 */
export async function keepUndelivered(
  tx: Tx,
  { programId, webhookId, rows }: WebhookRef & { rows: Undelivered[] },
): Promise<void> {
  const list = rows.map(({ xid, id, ...row }) => ({ ...row, xid: `${xid}`, id: `${id}` }));
  const kept = await tx.$executeRaw`
    INSERT INTO webhook_deliveries (program_id, webhook_id, event_xid, event_id, member_id,
      attempts, first_tried_at, next_attempt_at)
    SELECT ${programId}::uuid, ${webhookId}::uuid, r.xid, r.id, r."memberId", r.attempts,
      r."firstTriedAt", CASE
        WHEN r."memberId" IS NULL THEN r."nextAttemptAt"
        WHEN row_number() OVER (PARTITION BY r."memberId" ORDER BY r.xid, r.id) > 1
          OR EXISTS (SELECT FROM webhook_deliveries d
            WHERE d.program_id = ${programId}::uuid AND d.webhook_id = ${webhookId}::uuid
              AND d.member_id = r."memberId" AND d.dead_at IS NULL) THEN 'infinity'
        ELSE r."nextAttemptAt" END
    FROM jsonb_to_recordset(${JSON.stringify(list)}::jsonb) AS r(xid bigint, id bigint,
      "memberId" uuid, attempts int, "firstTriedAt" timestamptz, "nextAttemptAt" timestamptz)`;
  if (kept !== rows.length) throw new Error(`kept ${kept} deliveries instead of ${rows.length}`);
}

type Of = WebhookRef & { event: Cursor & { memberId: string | null } };

/** It was taken: nothing of it stays. False when somebody else has settled it. */
export async function forgetDelivery(tx: Tx, of: Of): Promise<boolean> {
  const { programId, webhookId, event } = of;
  const gone = await tx.$executeRaw`
    DELETE FROM webhook_deliveries
    WHERE program_id = ${programId}::uuid AND webhook_id = ${webhookId}::uuid
      AND event_xid = ${event.xid}::bigint AND event_id = ${event.id}::bigint
      AND dead_at IS NULL`;
  return gone === 1;
}

export type Failed = { attempts: number; firstTriedAt: Date; nextAttemptAt: Date | undefined };

/** Without a next attempt it is a dead letter. False when somebody else has settled it. */
export async function postponeDelivery(
  tx: Tx,
  { programId, webhookId, event, ...tried }: Of & Failed & { now: Date },
): Promise<boolean> {
  const { attempts, firstTriedAt, nextAttemptAt = tried.now } = tried;
  const deadAt = tried.nextAttemptAt ? null : tried.now;
  const changed = await tx.$executeRaw`
    UPDATE webhook_deliveries SET attempts = ${attempts}, first_tried_at = ${firstTriedAt},
      next_attempt_at = ${nextAttemptAt}, dead_at = ${deadAt}
    WHERE program_id = ${programId}::uuid AND webhook_id = ${webhookId}::uuid
      AND event_xid = ${event.xid}::bigint AND event_id = ${event.id}::bigint
      AND dead_at IS NULL`;
  return changed === 1;
}

/** The member's next one has its turn now; an event of no member holds nothing up. */
export async function releaseNext(tx: Tx, of: Of & { now: Date }): Promise<void> {
  const { programId, webhookId, event, now } = of;
  if (event.memberId === null) return;
  await tx.$executeRaw`
    UPDATE webhook_deliveries d SET next_attempt_at = ${now}
    FROM (SELECT event_xid, event_id FROM webhook_deliveries
      WHERE program_id = ${programId}::uuid AND webhook_id = ${webhookId}::uuid
        AND member_id = ${event.memberId}::uuid AND dead_at IS NULL
      ORDER BY event_xid, event_id LIMIT 1) next
    WHERE d.program_id = ${programId}::uuid AND d.webhook_id = ${webhookId}::uuid
      AND d.event_xid = next.event_xid AND d.event_id = next.event_id`;
}

/** What waits for a later attempt has it now; what waits in its turn goes on waiting. */
export async function hurryWaiting(
  tx: Tx,
  { programId, webhookId, now }: WebhookRef & { now: Date },
): Promise<void> {
  await tx.$executeRaw`
    UPDATE webhook_deliveries SET next_attempt_at = ${now}
    WHERE program_id = ${programId}::uuid AND webhook_id = ${webhookId}::uuid
      AND dead_at IS NULL AND next_attempt_at > ${now} AND next_attempt_at < 'infinity'`;
}
