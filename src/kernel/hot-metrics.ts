import { Counter, type Registry } from 'prom-client';
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

/**
 * The same answer, counted by what it came to: once for whoever asked, however often the question
 * was put to the queue until then.
 */
export async function counted<Answer extends { outcome: string }>(
  deps: { metrics: Registry },
  { operation, answer }: { operation: string; answer: Promise<Answer> },
): Promise<Answer> {
  const count = (outcome: string) => outcomes(deps).inc({ operation, outcome });
  try {
    const settled = await answer;
    count(settled.outcome);
    return settled;
  } catch (error) {
    count(isBusy(error) ? 'BUSY' : 'FAILED');
    throw error;
  }
}
