/**
 * Events as they happen. One reader in a process follows the feed of a program while anybody
 * listens to it, from where a listener came in, and never passes over a late commit: it is the feed
 * itself that is read.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { unavailable } from '../kernel/errors.ts';
import { type Cursor, feedEnd, isAfter, readFeed, type StoredEvent } from '../kernel/feed.ts';

const PAUSE_MS = 250;
const PAGE = 500;
// Who is further behind than that has stopped reading: the feed is there to be gone on from.
const MAX_BEHIND = 10_000;

type Wanted = { programId: string; types: ReadonlySet<string> | undefined };
type Next = IteratorResult<StoredEvent, undefined>;
type Reader = { listeners: Set<Listener>; cursor: Cursor };

const DONE: Next = { done: true, value: undefined };

export class LiveFeeds {
  readonly #deps: Pick<Deps, 'db' | 'log'>;
  readonly #readers = new Map<string, Reader>();

  constructor(deps: Pick<Deps, 'db' | 'log'>) {
    this.#deps = deps;
  }

  /** How many programs are being followed: none when nobody listens. */
  get readers(): number {
    return this.#readers.size;
  }

  /** Every event of these types that is committed from now on, until it is returned. */
  async listen({ programId, types }: Wanted): Promise<AsyncIterableIterator<StoredEvent>> {
    const start = await feedEnd(this.#deps);
    const listener = new Listener({ start, types, onEnd: () => this.#leave(programId, listener) });
    const reader = this.#readers.get(programId);
    if (reader) reader.listeners.add(listener);
    else {
      const first = { listeners: new Set([listener]), cursor: start };
      this.#readers.set(programId, first);
      void this.#follow(programId, first);
    }
    return listener;
  }

  #leave(programId: string, listener: Listener): void {
    const reader = this.#readers.get(programId);
    reader?.listeners.delete(listener);
    if (reader?.listeners.size === 0) this.#readers.delete(programId);
  }

  async #follow(programId: string, reader: Reader): Promise<void> {
    while (reader.listeners.size > 0) {
      const events = await this.#read(programId, reader.cursor);
      for (const event of events) for (const listener of reader.listeners) listener.offer(event);
      reader.cursor = events.at(-1) ?? reader.cursor;
      if (events.length < PAGE) await sleep(PAUSE_MS, undefined, { ref: false });
    }
  }

  /** A database that is away is asked again: what was committed meanwhile is still to be read. */
  async #read(programId: string, after: Cursor): Promise<StoredEvent[]> {
    try {
      return await readFeed(this.#deps, { programId, after, limit: PAGE });
    } catch (error) {
      this.#deps.log.warn({ err: error, programId }, 'the feed could not be read');
      return [];
    }
  }
}

type Listening = {
  start: Cursor;
  types: ReadonlySet<string> | undefined;
  onEnd: () => void;
};

/**
 * What one subscription is still to be given. No async generator: the return() of one would wait
 * for the event that it waits for itself, and a client that leaves would never be let go.
 */
class Listener implements AsyncIterableIterator<StoredEvent> {
  readonly #of: Listening;
  #queue: StoredEvent[] = [];
  #waiting: ((next: Next | Promise<Next>) => void) | undefined;
  #isOver = false;
  #isBehind = false;

  constructor(of: Listening) {
    this.#of = of;
  }

  offer(event: StoredEvent): void {
    const { start, types } = this.#of;
    if (this.#isOver || !isAfter(event, start) || (types && !types.has(event.type))) return;
    if (this.#waiting) this.#answer({ done: false, value: event });
    else if (this.#queue.push(event) > MAX_BEHIND) {
      this.#isBehind = true;
      this.#end();
    }
  }

  next(): Promise<Next> {
    const event = this.#queue.shift();
    if (event) return Promise.resolve({ done: false, value: event });
    if (this.#isBehind) {
      this.#isBehind = false;
      return Promise.reject(unavailable('events: too far behind: go on with the query events'));
    }
    if (this.#isOver) return Promise.resolve(DONE);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  return(): Promise<Next> {
    this.#queue = [];
    this.#end();
    return Promise.resolve(DONE);
  }

  throw(error: unknown): Promise<Next> {
    void this.return();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#of.onEnd();
    this.#answer(DONE);
  }

  #answer(next: Next): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(next);
  }
}
