/** One round of deliveries to one endpoint: first what waits, then what is new in the feed. */
import type { Deps } from '../deps.ts';
import { luckOf } from '../kernel/crypto.ts';
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
import { isFailure, type Outcome, type Webhook, type WebhookRef } from './types.ts';

const PAGE = 200;
/** Messages under way to one endpoint. */
const CONCURRENCY = 8;
/** What is known of the endpoint is no older whenever a message leaves. */
const LOOK_AGAIN_MS = 1_000;

/** False where a run has lasted long enough, is stopping, or another may have taken over. */
type Asked = WebhookRef & { sender: Sender; mayGoOn: () => boolean };
type Round = {
  deps: Deps;
  asked: Asked;
  ref: WebhookRef;
  webhook: Webhook;
  health: Health;
  /** The same row as it was seen last: what messages are signed by. */
  seen: { row: Webhook; at: Date };
  /** It was disabled, or is somewhere else. */
  isOver: boolean;
};

/**
 * Undefined when there is nothing to do, or the endpoint rests.
 *
 * Locks: the endpoint's row, for each of the places where what came of it is written down.
 * Refusals: none.
 * A retry, by a process that took over, tells the page again that was under way.
 * Events: none.
 */
export async function deliverRound(deps: Deps, asked: Asked) {
  const { programId, webhookId } = asked;
  const ref = { programId, webhookId };
  const webhook = await findRow(deps, ref);
  const now = deps.clock.now();
  if (!webhook?.enabled || (webhook.resumeAt && webhook.resumeAt > now)) return undefined;
  const health = watchHealth(deps, webhook);
  const seen = { row: webhook, at: now };
  const round = { deps, asked, ref, webhook, health, seen, isOver: false };
  const done = await (webhook.failures >= FAILURES_TO_REST ? probe(round) : tell(round));
  await health.save();
  return done.scanned === 0 ? undefined : done;
}

const findRow = ({ db }: Deps, { programId, webhookId: id }: WebhookRef): Promise<Webhook | null> =>
  db.webhook.findUnique({ where: { programId_id: { programId, id } } });

/** What is new comes when what is due is less than a handful: it would only wait in its turn. */
async function tell(round: Round) {
  const waiting = await readDue(round);
  const page = waiting.length < CONCURRENCY ? await readPage(round) : [];
  const retried = await deliverWaiting(round, waiting);
  const blocked = await blockedIn(round, page);
  const fresh = mayGoOn(round) ? await deliverPage(round, { page, blocked }) : 0;
  return { scanned: waiting.length + page.length, changed: retried + fresh };
}

/**
 * One that has failed as a whole is tried with a single event: one that nothing has been tried
 * with, where there is one, so that what only fails by itself does not keep the endpoint from being
 * found well again. What it does not want, or must wait for its turn, is passed by in one move: on
 * a busy feed the one event would never be come to.
 */
async function probe(round: Round) {
  const page = await readPage(round);
  const blocked = await blockedIn(round, page);
  const canBeTried = (event: StoredEvent) => isWanted(round, event) && !isBlocked(blocked, event);
  const passed = upToFirst(page, canBeTried);
  const fresh = await deliverPage(round, { page: passed, blocked });
  if (passed.some(canBeTried)) return { scanned: passed.length, changed: fresh };
  const waiting = upToFirst(await readDue(round), (event) => isWanted(round, event));
  const retried = await deliverWaiting(round, waiting);
  return { scanned: page.length + waiting.length, changed: retried };
}

/** All of them where there is none such. */
function upToFirst<T>(items: readonly T[], is: (item: T) => boolean): T[] {
  const place = items.findIndex(is);
  return items.slice(0, place < 0 ? items.length : place + 1);
}

const readDue = ({ deps, ref }: Round): Promise<Waiting[]> =>
  dueDeliveries(deps.db, { ...ref, now: deps.clock.now(), limit: CONCURRENCY });

function readPage({ deps, ref, webhook }: Round): Promise<StoredEvent[]> {
  const after = { xid: webhook.cursorXid, id: webhook.cursorId };
  return readFeed(deps, { programId: ref.programId, after, limit: PAGE });
}

/** The members of a page for whom something waits already. */
function blockedIn(round: Round, page: StoredEvent[]): Promise<Set<string>> {
  const wanted = page.filter((event) => isWanted(round, event));
  const members = wanted.flatMap(({ memberId }) => memberId ?? []);
  return membersWaiting(round.deps.db, { ...round.ref, members });
}

const isWanted = ({ webhook }: Round, { type }: StoredEvent) =>
  webhook.types.length === 0 || webhook.types.includes(type);

const isBlocked = (blocked: ReadonlySet<string>, { memberId }: StoredEvent) =>
  memberId !== null && blocked.has(memberId);

const mayGoOn = ({ asked, health, isOver }: Round) =>
  !isOver && !health.isFailing() && asked.mayGoOn();

async function attempt(round: Round, event: StoredEvent): Promise<Outcome> {
  const { deps, asked, health } = round;
  const at = deps.clock.now();
  if (at.getTime() - round.seen.at.getTime() >= LOOK_AGAIN_MS) await lookAgain(round, at);
  if (round.isOver) return 'stopped';
  const { row } = round.seen;
  const message = { id: cursorText(event), body: bodyOf(event) };
  const headers = signedHeaders(message, {
    secrets: secretsOf(deps, { webhook: row, now: at }),
    at,
  });
  const sent = await asked.sender.send({ url: new URL(row.url), headers, body: message.body });
  health.note(sent);
  return sent.outcome;
}

/** Whoever disables an endpoint, or moves it, does not expect it to be told a page to its end. */
async function lookAgain(round: Round, at: Date): Promise<void> {
  const row = await findRow(round.deps, round.ref);
  if (row?.enabled && row.url === round.webhook.url) round.seen = { row, at };
  else round.isOver = true;
}

const bodyOf = (event: StoredEvent): string =>
  JSON.stringify({
    id: cursorText(event),
    type: event.type,
    timestamp: event.at,
    memberId: event.memberId,
    data: event.data,
  });

/**
 * Those that are due, each by itself: they are of different members. What is not wanted any more is
 * done with. Answers how many went.
 */
async function deliverWaiting(round: Round, due: Waiting[]): Promise<number> {
  const delivered = await inLanes(due, async (event) => {
    if (!isWanted(round, event)) return pass(round, event);
    if (!mayGoOn(round)) return false;
    const outcome = await attempt(round, event);
    if (outcome !== 'stopped') await settle(round, { event, outcome });
    return outcome === 'delivered';
  });
  return delivered.filter(Boolean).length;
}

async function pass(round: Round, event: Waiting): Promise<false> {
  await settle(round, { event, outcome: 'delivered' });
  return false;
}

async function settle(
  { deps, ref }: Round,
  { event, outcome }: { event: Waiting; outcome: Outcome },
): Promise<void> {
  const now = deps.clock.now();
  const attempts = event.attempts + 1;
  const firstTriedAt = event.firstTriedAt ?? now;
  const next = isFailure(outcome)
    ? nextAttempt({ firstTriedAt, attempts, now, luck: luckOf(deps.random) })
    : undefined;
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

type Page = { page: StoredEvent[]; blocked: ReadonlySet<string> };

/** Each member's events one after another, members side by side. Answers how many went. */
async function deliverPage(round: Round, { page, blocked }: Page): Promise<number> {
  const last = page.at(-1);
  if (!last) return 0;
  const events = page.filter((event) => isWanted(round, event));
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
  for (const [place, event] of chain.entries()) {
    if (isBlocked(blocked, event) || !mayGoOn(round))
      return chain.slice(place).map((one) => untried(round, one));
    const firstTriedAt = round.deps.clock.now();
    const outcome = await attempt(round, event);
    if (outcome === 'delivered') continue;
    const rest = chain.slice(place + 1).map((one) => untried(round, one));
    if (outcome === 'stopped') return [untried(round, event), ...rest];
    const now = round.deps.clock.now();
    const luck = luckOf(round.deps.random);
    const nextAttemptAt = nextAttempt({ firstTriedAt, attempts: 1, now, luck }) ?? now;
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

/** With no more than a few under way. One that fails is thrown once none is any more. */
async function inLanes<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    for (let place = next++; place < items.length; place = next++)
      results[place] = await work(items[place] as T);
  };
  const lanes = Array.from({ length: Math.min(CONCURRENCY, items.length) }, lane);
  for (const end of await Promise.allSettled(lanes))
    if (end.status === 'rejected') throw end.reason;
  return results;
}
