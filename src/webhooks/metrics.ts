import { Counter, type Registry } from 'prom-client';
import type { Deps } from '../deps.ts';
import type { Sender } from './send.ts';
import type { Outcome } from './types.ts';

type WebhookMetrics = { deliveries: Counter<'outcome'>; deadLetters: Counter };
const registered = new WeakMap<Registry, WebhookMetrics>();

function metricsOf({ metrics }: Pick<Deps, 'metrics'>): WebhookMetrics {
  const known = registered.get(metrics);
  if (known) return known;
  const registers = [metrics];
  const deliveries = new Counter({
    name: 'flash_webhook_deliveries_total',
    help: 'Attempts to deliver an event to an endpoint, by what came of them',
    labelNames: ['outcome'] as const,
    registers,
  });
  const deadLetters = new Counter({
    name: 'flash_webhook_dead_letters_total',
    help: 'Events that an endpoint has not taken in three days',
    registers,
  });
  const made = { deliveries, deadLetters };
  registered.set(metrics, made);
  return made;
}

export const countDeadLetter = (deps: Deps): void => metricsOf(deps).deadLetters.inc();

/** The same sender, with each attempt counted. */
export const measured = (deps: Deps, sender: Sender): Sender => ({
  ...sender,
  send: async (post) => {
    const outcome: Outcome = await sender.send(post);
    metricsOf(deps).deliveries.inc({ outcome });
    return outcome;
  },
});
