import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { isUnavailable } from '../kernel/db.ts';
import { isBusy } from '../kernel/errors.ts';
import type { ProgramId, WebhookId } from '../kernel/ids.ts';
import { type Delivered, deliverWebhook, type WebhookRef, webhooksDue } from '../webhooks/index.ts';
import { recordFailure, resolveFailures } from './failures.ts';
import { fleetMetrics } from './metrics.ts';
import type { ProgramTask } from './program-run.ts';

const TASK = 'DELIVER_WEBHOOKS';
const LOOK_EVERY_MS = 1_000;
/** Endpoints that this process tells at one time; the others wait their turn. */
const AT_ONCE = 16;
/** No program keeps another's endpoints waiting with its own. */
const AT_ONCE_OF_ONE = 4;
/** Whoever asks by hand waits for the answer. */
const BY_HAND_MS = 60_000;

/** By hand: what there is to tell the endpoints of one program now. */
export const deliverWebhooks: ProgramTask = {
  task: TASK,
  isTriedElsewhere: true,
  work: async (deps, { programId, onFailure }) => {
    const signal = AbortSignal.timeout(BY_HAND_MS);
    const total: Delivered = { scanned: 0, changed: 0 };
    for (const webhook of await webhooksDue(deps, { programId: programId as ProgramId })) {
      if (signal.aborted) break;
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
 * All the time: looks every second for endpoints that have something to be told, those first that
 * have waited longest for their turn. No event makes a job and nobody is notified, so what writes
 * events does not pay for who reads them.
 */
export function startDeliveries(deps: Deps): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const telling = new Telling(deps, stopping.signal);
  const looking = untilStopped(stopping.signal, async () => {
    await telling.look().catch((error: unknown) => {
      if (!stopping.signal.aborted) deps.log.warn({ err: error }, 'no look at the webhooks');
    });
  });
  return {
    stop: async () => {
      stopping.abort();
      await looking;
      await telling.ended();
    },
  };
}

type Rest = { programId: ProgramId; until: Date; attempts: number };

/** One minute, two, four, eight: for what an operator puts right, and not the endpoint. */
const FIRST_REST_MS = 60_000;
const MOST_DOUBLINGS = 3;
/** How often a program's success looks for a failure that another process has left open. */
const LOOK_FOR_FAILURES_MS = 60_000;

class Telling {
  readonly #deps: Deps;
  readonly #signal: AbortSignal;
  readonly #running = new Map<WebhookId, { programId: ProgramId; ended: Promise<void> }>();
  readonly #resting = new Map<WebhookId, Rest>();
  readonly #lookedForFailures = new Map<ProgramId, number>();

  constructor(deps: Deps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  async look(): Promise<void> {
    for (const webhook of await webhooksDue(this.#deps)) {
      if (this.#running.size >= AT_ONCE) return;
      if (this.#mayBeTold(webhook)) {
        const { programId, webhookId } = webhook;
        this.#running.set(webhookId, { programId, ended: this.#tell(webhook) });
      }
    }
  }

  async ended(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  #mayBeTold({ programId, webhookId }: WebhookRef): boolean {
    const rest = this.#resting.get(webhookId);
    if (this.#running.has(webhookId) || (rest && rest.until > this.#deps.clock.now())) return false;
    const own = [...this.#running.values()].filter((other) => other.programId === programId);
    return own.length < AT_ONCE_OF_ONE;
  }

  async #tell(webhook: WebhookRef): Promise<void> {
    try {
      const { scanned } = await deliverWebhook(this.#deps, { ...webhook, signal: this.#signal });
      // Nothing was tried: another process is at it, or was quicker.
      if (scanned > 0) await this.#succeeded(webhook);
    } catch (error) {
      await this.#failed(webhook, error).catch((failure: unknown) =>
        this.#deps.log.error({ err: failure, ...webhook }, 'a failure was not recorded'),
      );
    } finally {
      this.#running.delete(webhook.webhookId);
    }
  }

  /** What fails here is ours, and not the endpoint's: a secret that cannot be opened, say. */
  async #failed({ programId, webhookId }: WebhookRef, error: unknown): Promise<void> {
    const deps = this.#deps;
    fleetMetrics(deps).failures.inc({ task: TASK });
    deps.log.warn({ programId, webhookId, err: error }, 'deliveries to a webhook failed');
    // A lock or a connection that was not to be had now may be had at the next look.
    if (isBusy(error) || isUnavailable(error)) return;
    const day = await today(deps, programId);
    const failed = { programId, task: TASK, day, memberId: null, error } as const;
    await recordFailure(deps, failed);
    const attempts = (this.#resting.get(webhookId)?.attempts ?? 0) + 1;
    const pause = FIRST_REST_MS * 2 ** Math.min(attempts - 1, MOST_DOUBLINGS);
    const until = new Date(deps.clock.now().getTime() + pause);
    this.#resting.set(webhookId, { programId, until, attempts });
  }

  /**
   * What is recorded is the program's: closed when its last endpoint that rested here is told
   * again, and soon after a success also when whoever recorded it is gone.
   */
  async #succeeded({ programId, webhookId }: WebhookRef): Promise<void> {
    const rested = this.#resting.delete(webhookId);
    if ([...this.#resting.values()].some((rest) => rest.programId === programId)) return;
    const now = this.#deps.clock.now().getTime();
    const looked = this.#lookedForFailures.get(programId) ?? Number.NEGATIVE_INFINITY;
    if (!rested && now - looked < LOOK_FOR_FAILURES_MS) return;
    await resolveFailures(this.#deps, { programId, task: TASK });
    this.#lookedForFailures.set(programId, now);
  }
}

async function today(deps: Deps, programId: ProgramId): Promise<string> {
  const [row] = await deps.db.$queryRaw<{ day: string }[]>`
    SELECT day_of(${programId}::uuid, program_now(${programId}::uuid))::text AS day`;
  if (!row) throw new Error('a program without a day');
  return row.day;
}

async function untilStopped(signal: AbortSignal, look: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await look();
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
  }
}
