import type { Deps } from '../deps.ts';
import { luckOf } from '../kernel/crypto.ts';
import { askedUntil, FAILURES_TO_REST, PATIENCE_MS, restUntil } from './schedule.ts';
import type { Sent } from './send.ts';
import type { Webhook } from './types.ts';

/** How an endpoint is doing: what fails one event after another is not an event's fault. */
export type Health = {
  note(sent: Sent): void;
  /** Nothing more is sent before it has rested. */
  isFailing(): boolean;
  save(): Promise<void>;
};

type News = {
  failures: number;
  failingSince: Date | null;
  attempts: number;
  hasTaken: boolean;
  isGone: boolean;
  /** Until when it asked to be left alone. */
  askedUntil: Date | undefined;
};

/** As the row has it, and from there on with every attempt. */
export function watchHealth(deps: Deps, webhook: Webhook): Health {
  const { failures, failingSince } = webhook;
  const nothing = { attempts: 0, hasTaken: false, isGone: false, askedUntil: undefined };
  const news: News = { failures, failingSince, ...nothing };
  return {
    note: (sent) => {
      if (sent.outcome !== 'stopped') note(news, { sent, now: deps.clock.now() });
    },
    isFailing: () =>
      news.isGone ||
      news.askedUntil !== undefined ||
      (news.attempts > 0 && news.failures >= FAILURES_TO_REST),
    save: async () => {
      const isNews = news.failures > 0 || webhook.failures > 0 || news.askedUntil !== undefined;
      if (news.attempts > 0 && isNews) await save(deps, webhook, news);
    },
  };
}

function note(news: News, { sent, now }: { sent: Sent; now: Date }): void {
  const { outcome, retryAfter } = sent;
  news.attempts += 1;
  if (outcome === 'delivered') news.hasTaken = true;
  if (outcome === 'gone') news.isGone = true;
  news.failures = outcome === 'delivered' ? 0 : news.failures + 1;
  news.failingSince = outcome === 'delivered' ? null : (news.failingSince ?? now);
  news.askedUntil = askedUntil(retryAfter, now) ?? news.askedUntil;
}

/** Only over what was read: who has changed the endpoint meanwhile has set it to a new start. */
async function save(deps: Deps, webhook: Webhook, news: News): Promise<void> {
  const { programId, id, url } = webhook;
  const { failures, failingSince } = news;
  const now = deps.clock.now();
  const rests = failingSince !== null && failures >= FAILURES_TO_REST && !news.hasTaken;
  const rest = rests ? restUntil({ failingSince, now, luck: luckOf(deps.random) }) : null;
  const isLost = rests && now.getTime() - failingSince.getTime() >= PATIENCE_MS;
  const resumeAt = laterOf(rest, news.askedUntil ?? null);
  const isOver = news.isGone || isLost;
  const { count } = await deps.db.webhook.updateMany({
    where: {
      ...{ programId, id, url, failures: webhook.failures },
      ...{ failingSince: webhook.failingSince, resumeAt: webhook.resumeAt },
    },
    data: { failures, failingSince, resumeAt, ...(isOver && { enabled: false }) },
  });
  if (count === 1 && isOver)
    deps.log.warn(
      { programId, webhookId: id },
      news.isGone
        ? 'an endpoint answered that it is gone: disabled'
        : 'an endpoint took nothing for three days: disabled',
    );
}

const laterOf = (one: Date | null, other: Date | null): Date | null =>
  one && other ? (one > other ? one : other) : (one ?? other);
