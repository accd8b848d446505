import type { Deps } from '../deps.ts';
import { takeLease } from '../kernel/lease.ts';
import { reachOf } from './create-webhook.ts';
import { measured } from './metrics.ts';
import { deliverRound } from './round.ts';
import { openSender } from './send.ts';
import { dueWebhooks } from './sql/deliveries.ts';
import type { WebhookRef } from './types.ts';

const RUN_MS = 30_000;

/** Events that were looked at, and events that the endpoint has taken. */
export type Delivered = { scanned: number; changed: number };

/**
 * Tells one endpoint what there is to tell, in rounds, until nothing is left, it has to rest, or
 * others have waited long enough. One process at a time does it; one that dies has at most told a
 * page of events of which nobody knows, and the next one tells them again.
 */
export async function deliverWebhook(
  deps: Deps,
  { programId, webhookId, signal }: WebhookRef & { signal: AbortSignal },
): Promise<Delivered> {
  const total = { scanned: 0, changed: 0 };
  const lease = await takeLease(deps, { programId, name: `webhook:${webhookId}` });
  if (!lease) return total;
  const open = openSender({ ...reachOf(deps), signal });
  const sender = measured(deps, { sender: open, programId, webhookId });
  const giveUpAt = performance.now() + RUN_MS;
  const mayGoOn = () => lease.isHeld() && !signal.aborted && performance.now() < giveUpAt;
  try {
    await noteTurn(deps, { programId, webhookId });
    while (mayGoOn()) {
      const round = await deliverRound(deps, { programId, webhookId, sender, mayGoOn });
      if (!round) break;
      total.scanned += round.scanned;
      total.changed += round.changed;
    }
  } finally {
    sender.close();
    await lease.release();
  }
  return total;
}

async function noteTurn({ db, clock }: Deps, { programId, webhookId: id }: WebhookRef) {
  await db.webhook.updateMany({ where: { programId, id }, data: { servedAt: clock.now() } });
}

/** The endpoints that have something to be told now, of one program or of all. */
export const webhooksDue = (deps: Deps, of: Pick<Partial<WebhookRef>, 'programId'> = {}) =>
  dueWebhooks(deps.db, { ...of, now: deps.clock.now() });
