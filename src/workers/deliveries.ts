import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { type Delivered, deliverWebhook, type WebhookRef, webhooksDue } from '../webhooks/index.ts';
import type { ProgramTask } from './program-run.ts';

const LOOK_EVERY_MS = 1_000;
/** Endpoints that this process tells at one time; the others wait their turn. */
const AT_ONCE = 16;

/** By hand: what there is to tell the endpoints of one program now. */
export const deliverWebhooks: ProgramTask = {
  task: 'DELIVER_WEBHOOKS',
  work: async (deps, { programId, onFailure }) => {
    const { signal } = new AbortController();
    const total: Delivered = { scanned: 0, changed: 0 };
    for (const webhook of await webhooksDue(deps, { programId: programId as ProgramId })) {
      try {
        const { scanned, changed } = await deliverWebhook(deps, { ...webhook, signal });
        total.scanned += scanned;
        total.changed += changed;
      } catch (error) {
        // One endpoint's secret that cannot be opened must not keep the others waiting.
        await onFailure(null, error);
      }
    }
    return total;
  },
};

/**
 * All the time: looks every second for endpoints that have something to be told. No event makes a
 * job and nobody is notified, so what writes events does not pay for who reads them.
 */
export function startDeliveries(deps: Deps): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const running = new Map<string, Promise<void>>();
  const tell = async (webhook: WebhookRef) => {
    try {
      await deliverWebhook(deps, { ...webhook, signal: stopping.signal });
    } catch (error) {
      deps.log.error({ err: error, ...webhook }, 'deliveries to a webhook failed');
    } finally {
      running.delete(webhook.webhookId);
    }
  };
  const look = async () => {
    const due = await webhooksDue(deps);
    const idle = due.filter(({ webhookId }) => !running.has(webhookId));
    for (const webhook of idle.slice(0, AT_ONCE - running.size))
      running.set(webhook.webhookId, tell(webhook));
  };
  const looking = untilStopped(stopping.signal, async () => {
    await look().catch((error: unknown) => {
      if (!stopping.signal.aborted) deps.log.warn({ err: error }, 'no look at the webhooks');
    });
  });
  return {
    stop: async () => {
      stopping.abort();
      await looking;
      await Promise.all(running.values());
    },
  };
}

async function untilStopped(signal: AbortSignal, look: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await look();
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
  }
}
