import type { Deps } from '../deps.ts';
import { FAILURES_TO_REST, PATIENCE_MS, restUntil } from './schedule.ts';
import type { Outcome, Webhook } from './types.ts';

/** How an endpoint is doing: what fails one event after another is not an event's fault. */
export type Health = {
  note(outcome: Outcome): void;
  /** Nothing more is sent before it has rested. */
  isFailing(): boolean;
  save(): Promise<void>;
};

/** As the row has it, and from there on with every attempt. */
export function watchHealth(deps: Deps, webhook: Webhook): Health {
  let { failures, failingSince } = webhook;
  let attempts = 0;
  let successes = 0;
  return {
    note: (outcome) => {
      if (outcome === 'stopped') return;
      attempts += 1;
      if (outcome === 'delivered') successes += 1;
      failures = outcome === 'delivered' ? 0 : failures + 1;
      failingSince = outcome === 'delivered' ? null : (failingSince ?? deps.clock.now());
    },
    isFailing: () => attempts > 0 && failures >= FAILURES_TO_REST,
    save: async () => {
      const isNews = attempts > 0 && (failures > 0 || webhook.failures > 0);
      if (isNews) await save(deps, { webhook, failures, failingSince, hasTaken: successes > 0 });
    },
  };
}

type News = { webhook: Webhook; failures: number; failingSince: Date | null; hasTaken: boolean };

/** Only over what was read: who has changed the endpoint meanwhile has set it to a new start. */
async function save(deps: Deps, { webhook, failures, failingSince, hasTaken }: News) {
  const { programId, id } = webhook;
  const now = deps.clock.now();
  const rests = failingSince !== null && failures >= FAILURES_TO_REST && !hasTaken;
  const resumeAt = rests ? restUntil({ failingSince, now }) : null;
  const isGone = rests && now.getTime() - failingSince.getTime() >= PATIENCE_MS;
  const { count } = await deps.db.webhook.updateMany({
    where: { programId, id, failures: webhook.failures, failingSince: webhook.failingSince },
    data: { failures, failingSince, resumeAt, ...(isGone && { enabled: false }) },
  });
  if (count === 1 && isGone)
    deps.log.warn(
      { programId, webhookId: id },
      'an endpoint took nothing for three days: disabled',
    );
}
