import { Counter } from 'prom-client';
import type { Deps } from '../deps.ts';
import { registeredOnce, watchCounts, watchNumber } from '../kernel/metrics.ts';
import { noteOnSpan, traced } from '../kernel/trace.ts';
import type { Sender } from './send.ts';
import { isFailure, type WebhookRef } from './types.ts';

/** The deliveries of this process, and what any process can say of the whole outbox. */
export const webhookMetrics = registeredOnce((deps: Deps) => {
  watchOutbox(deps);
  const registers = [deps.metrics];
  return {
    deliveries: new Counter({
      name: 'flash_webhook_deliveries_total',
      help: 'Attempts to deliver an event to an endpoint, by what came of them',
      labelNames: ['outcome'] as const,
      registers,
    }),
    deadLetters: new Counter({
      name: 'flash_webhook_dead_letters_total',
      help: 'Events that an endpoint has not taken in three days',
      registers,
    }),
  };
});

function watchOutbox(deps: Deps): void {
  watchNumber(deps, {
    name: 'flash_outbox_lag_seconds',
    help: 'Age of the oldest event that an enabled endpoint of a live program has not taken',
    read: () => readLag(deps),
  });
  watchNumber(deps, {
    name: 'flash_outbox_held_back',
    help: 'Transactions begun since the oldest that runs: while it does, none of them is read',
    read: async () => {
      const [row] = await deps.db.$queryRaw<{ count: bigint }[]>`
        SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - events_horizon() AS count`;
      return Number(row?.count);
    },
  });
  watchNumber(deps, {
    name: 'flash_webhook_waiting_events',
    help: 'Events for an enabled endpoint that wait for an attempt, or behind one that does',
    read: () =>
      deps.db.webhookDelivery.count({ where: { deadAt: null, webhook: { enabled: true } } }),
  });
  watchCounts(deps, {
    name: 'flash_webhooks',
    help: 'Endpoints by how they are doing: well, failing, resting, or disabled',
    label: 'state',
    read: () => readStates(deps),
  });
}

/** Of live programs, whose clock is real time; a sandbox stands still. */
async function readLag({ db, clock }: Deps): Promise<number> {
  const [row] = await db.$queryRaw<{ lag: number }[]>`
    SELECT coalesce(max(extract(epoch FROM ${clock.now()}::timestamptz - oldest.at)), 0)::float8
      AS lag
    FROM webhooks w
    JOIN programs p ON p.id = w.program_id AND NOT p.sandbox
    CROSS JOIN LATERAL (SELECT least(
      (SELECT at FROM read_events(w.program_id, w.cursor_xid, w.cursor_id, 1)),
      (SELECT e.at FROM webhook_deliveries d
        JOIN events e ON e.program_id = d.program_id AND e.xid = d.event_xid AND e.id = d.event_id
        WHERE d.program_id = w.program_id AND d.webhook_id = w.id AND d.dead_at IS NULL
        ORDER BY d.event_xid, d.event_id LIMIT 1)) AS at) oldest
    WHERE w.enabled`;
  return Math.max(row?.lag ?? 0, 0);
}

async function readStates({ db, clock }: Deps): Promise<Map<string, number>> {
  const rows = await db.$queryRaw<{ state: string; count: bigint }[]>`
    SELECT CASE WHEN NOT enabled THEN 'disabled'
      WHEN resume_at > ${clock.now()}::timestamptz THEN 'resting'
      WHEN failures > 0 THEN 'failing' ELSE 'well' END AS state, count(*) AS count
    FROM webhooks GROUP BY 1`;
  return new Map(rows.map(({ state, count }) => [state, Number(count)]));
}

export const countDeadLetter = (deps: Deps): void => webhookMetrics(deps).deadLetters.inc();

/** The same sender, with each attempt counted and within a span of its own. */
export function measured(
  deps: Deps,
  { sender, programId, webhookId }: WebhookRef & { sender: Sender },
): Sender {
  const send: Sender['send'] = async (post) => {
    const about = { programId, webhookId, eventId: post.headers['webhook-id'] ?? '' };
    const sent = await traced('webhook delivery', about, async () => {
      const answer = await sender.send(post);
      noteOnSpan({ outcome: answer.outcome }, { isError: isFailure(answer.outcome) });
      return answer;
    });
    webhookMetrics(deps).deliveries.inc({ outcome: sent.outcome });
    return sent;
  };
  return { ...sender, send };
}
