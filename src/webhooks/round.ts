/** One round of deliveries to one endpoint: first what waits, then what is new in the feed. */
import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { type Cursor, cursorText, readFeed, type StoredEvent } from '../kernel/feed.ts';
import { type Health, watchHealth } from './health.ts';
import { countDeadLetter } from './metrics.ts';
import { FAILURES_TO_REST, nextAttempt } from './schedule.ts';
import { secretsOf, signedHeaders } from './secret.ts';
import type { Sender } from './send.ts';
import {
  dueDeliveries,
  forgetDelivery,
  keepUndelivered,
  lockWebhook,
  membersWaiting,
  postponeDelivery,
  releaseNext,
  type Undelivered,
  type Waiting,
} from './sql/deliveries.ts';
import type { Outcome, Webhook, WebhookRef } from './types.ts';

const PAGE = 200;
/** Messages under way to one endpoint. */
const CONCURRENCY = 8;

type Round = { deps: Deps; ref: WebhookRef; webhook: Webhook; sender: Sender; health: Health };
type Asked = WebhookRef & { sender: Sender; signal: AbortSignal };

/**
 * Undefined when there is nothing to do, or the endpoint rests. One that has failed as a whole is
 * tried with a single event: one that nothing has been tried with, where there is one, so that what
 * only fails by itself does not keep the endpoint from being found well again.
 *
 * Locks: the endpoint's row, for each of the places where what came of it is written down.
 * Refusals: none.
 * A retry, by a process that took over, tells the page again that was under way.
 * Events: none.
 */
export async function deliverRound(deps: Deps, asked: Asked) {
  const { programId, webhookId, sender, signal } = asked;
  const ref = { programId, webhookId };
  const webhook = await deps.db.webhook.findUnique({
    where: { programId_id: { programId, id: webhookId } },
  });
  const now = deps.clock.now();
  if (!webhook?.enabled || (webhook.resumeAt && webhook.resumeAt > now)) return undefined;
  const isProbe = webhook.failures >= FAILURES_TO_REST;
  const after = { xid: webhook.cursorXid, id: webhook.cursorId };
  const page = await readFeed(deps, { programId, after, limit: isProbe ? 1 : PAGE });
  const waiting =
    isProbe && page.length > 0
      ? []
      : await dueDeliveries(deps.db, { ...ref, now, limit: isProbe ? 1 : CONCURRENCY });
  if (page.length + waiting.length === 0) return undefined;
  const round = { deps, ref, webhook, sender, health: watchHealth(deps, webhook) };
  const retried = await deliverWaiting(round, waiting);
  const fresh = round.health.isFailing() || signal.aborted ? 0 : await deliverPage(round, page);
  await round.health.save();
  return { scanned: waiting.length + page.length, changed: retried + fresh };
}

async function attempt({ deps, webhook, sender, health }: Round, event: StoredEvent) {
  const at = deps.clock.now();
  const message = { id: cursorText(event), body: bodyOf(event) };
  const headers = signedHeaders(message, { secrets: secretsOf(deps, { webhook, now: at }), at });
  const outcome = await sender.send({ url: new URL(webhook.url), headers, body: message.body });
  health.note(outcome);
  return outcome;
}

const bodyOf = (event: StoredEvent): string =>
  JSON.stringify({
    id: cursorText(event),
    type: event.type,
    timestamp: event.at,
    memberId: event.memberId,
    data: event.data,
  });

const isFailure = (outcome: Outcome) => outcome !== 'delivered' && outcome !== 'stopped';

/** Those that are due, each by itself: they are of different members. Answers how many went. */
async function deliverWaiting(round: Round, due: Waiting[]): Promise<number> {
  const delivered = await inLanes(due, async (event) => {
    if (round.health.isFailing()) return false;
    const outcome = await attempt(round, event);
    if (outcome !== 'stopped') await settle(round, { event, outcome });
    return outcome === 'delivered';
  });
  return delivered.filter(Boolean).length;
}

async function settle(
  { deps, ref }: Round,
  { event, outcome }: { event: Waiting; outcome: Outcome },
): Promise<void> {
  const now = deps.clock.now();
  const attempts = event.attempts + 1;
  const firstTriedAt = event.firstTriedAt ?? now;
  const next = isFailure(outcome) ? nextAttempt({ firstTriedAt, attempts, now }) : undefined;
  await inTransaction(deps, async (tx) => {
    await lockWebhook(tx, ref);
    const of = { ...ref, event, now };
    const isMine = isFailure(outcome)
      ? await postponeDelivery(tx, { ...of, attempts, firstTriedAt, nextAttemptAt: next })
      : await forgetDelivery(tx, of);
    if (isMine && !next) await releaseNext(tx, of);
  });
  if (isFailure(outcome) && !next) countDeadLetter(deps);
}

/** Each member's events one after another, members side by side. Answers how many went. */
async function deliverPage(round: Round, page: StoredEvent[]): Promise<number> {
  const last = page.at(-1);
  if (!last) return 0;
  const wanted = new Set(round.webhook.types);
  const events = page.filter(({ type }) => wanted.size === 0 || wanted.has(type));
  const members = events.flatMap(({ memberId }) => memberId ?? []);
  const blocked = await membersWaiting(round.deps.db, { ...round.ref, members });
  const kept = await inLanes(chainsOf(events), (chain) => deliverChain(round, { chain, blocked }));
  const rows = kept.flat();
  await movePlace(round, { to: last, rows });
  return events.length - rows.length;
}

/** The events of each member, in order; an event of no member stands for itself. */
function chainsOf(events: StoredEvent[]): StoredEvent[][] {
  const chains = new Map<string, StoredEvent[]>();
  for (const event of events) {
    const key = event.memberId ?? cursorText(event);
    const chain = chains.get(key);
    if (chain) chain.push(event);
    else chains.set(key, [event]);
  }
  return [...chains.values()];
}

type Chain = { chain: StoredEvent[]; blocked: ReadonlySet<string> };

/** Until one fails: the rest waits behind it. Answers what was not delivered. */
async function deliverChain(round: Round, { chain, blocked }: Chain): Promise<Undelivered[]> {
  const isBlocked = blocked.has(chain[0]?.memberId ?? '');
  for (const [place, event] of chain.entries()) {
    if (isBlocked || round.health.isFailing())
      return chain.slice(place).map((one) => untried(round, one));
    const firstTriedAt = round.deps.clock.now();
    const outcome = await attempt(round, event);
    if (outcome === 'delivered') continue;
    const rest = chain.slice(place + 1).map((one) => untried(round, one));
    if (outcome === 'stopped') return [untried(round, event), ...rest];
    const now = round.deps.clock.now();
    const nextAttemptAt = nextAttempt({ firstTriedAt, attempts: 1, now }) ?? now;
    const { xid, id, memberId } = event;
    return [{ xid, id, memberId, attempts: 1, firstTriedAt, nextAttemptAt }, ...rest];
  }
  return [];
}

const untried = ({ deps }: Round, { xid, id, memberId }: StoredEvent): Undelivered => ({
  xid,
  id,
  memberId,
  attempts: 0,
  firstTriedAt: null,
  nextAttemptAt: deps.clock.now(),
});

/** Behind the page, unless somebody has moved the place meanwhile: then it counts for nothing. */
async function movePlace(
  { deps, ref, webhook }: Round,
  { to, rows }: { to: Cursor; rows: Undelivered[] },
): Promise<void> {
  const { programId, webhookId: id } = ref;
  const { cursorXid, cursorId } = webhook;
  await inTransaction(deps, async (tx) => {
    const { count } = await tx.webhook.updateMany({
      where: { programId, id, cursorXid, cursorId },
      data: { cursorXid: to.xid, cursorId: to.id },
    });
    if (count === 1 && rows.length > 0) await keepUndelivered(tx, { ...ref, rows });
  });
}

/** As `Promise.all`, with no more than a few under way. */
async function inLanes<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    for (let place = next++; place < items.length; place = next++)
      results[place] = await work(items[place] as T);
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, lane));
  return results;
}
