import { Counter, type Registry } from 'prom-client';
import type { Hot } from './coalesce.ts';
import { isBusy } from './errors.ts';
import { registeredOnce } from './metrics.ts';

const outcomes = registeredOnce(
  ({ metrics }: { metrics: Registry }) =>
    new Counter({
      name: 'flash_hot_outcomes_total',
      help: 'What claims, redemptions, awards and spends came to',
      labelNames: ['operation', 'outcome'] as const,
      registers: [metrics],
    }),
);

/** The same queue, with what it answers counted, each who asked by itself. */
export function counted<Input, Outcome extends { outcome: string }>(
  metrics: Registry,
  { operation, queue }: { operation: string; queue: Hot<Input, Outcome> },
): Hot<Input, Outcome> {
  const counter = outcomes({ metrics });
  const count = (outcome: string) => counter.inc({ operation, outcome });
  return {
    submit: async (...asked) => {
      try {
        const answer = await queue.submit(...asked);
        count(answer.outcome);
        return answer;
      } catch (error) {
        count(isBusy(error) ? 'BUSY' : 'FAILED');
        throw error;
      }
    },
  };
}
