/**
 * Events as they happen. One reader in a process follows the feed of a program while anybody
 * listens to it, and never passes over a late commit: it is the feed itself that is read. One look
 * tells for all programs which of them have something new.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { unavailable } from '../kernel/errors.ts';
import { type Cursor, feedEnd, readFeed, type StoredEvent, withNews } from '../kernel/feed.ts';

const PAUSE_MS = 250;
const PAGE = 500;
// Who is further behind than that has stopped reading: the feed is there to be gone on from.
const MAX_BEHIND = 10_000;

type Wanted = { programId: string; types: ReadonlySet<string> | undefined };
type Next = IteratorResult<StoredEvent, undefined>;
/** `begun`: where the feed ended when its first listener came. */
type Reader = {
  listeners: Set<Listener>;
  begun: Promise<Cursor>;
  cursor: Cursor | undefined;
};

const DONE: Next = { done: true, value: undefined };

export class LiveFeeds {
  readonly #deps: Pick<Deps, 'db' | 'log'>;
  readonly #readers = new Map<string, Reader>();
  #isFollowing = false;

  constructor(deps: Pick<Deps, 'db' | 'log'>) {
    this.#deps = deps;
  }

  /** How many programs are being followed: none when nobody listens. */
  get readers(): number {
    return this.#readers.size;
  }

  /**
   * Every event of these types that is committed from now on, until it is returned. It hears what
   * is read from this moment, before anything is waited for: what is read while somebody asks where
   * the feed ends would be lost to him.
   */
  async listen({ programId, types }: Wanted): Promise<AsyncIterableIterator<StoredEvent>> {
    const listener = new Listener({ types, onEnd: () => this.#leave(programId, listener) });
    const reader = this.#readers.get(programId) ?? this.#begin(programId);
    reader.listeners.add(listener);
    try {
      await reader.begun;
    } catch (error) {
      await listener.return();
      throw error;
    }
    return listener;
  }

  #begin(programId: string): Reader {
    const reader: Reader = {
      listeners: new Set(),
      begun: feedEnd(this.#deps),
      cursor: undefined,
    };
    reader.begun.then(
      (cursor) => {
        reader.cursor = cursor;
      },
      () => {}, // whoever listens is told
    );
    this.#readers.set(programId, reader);
    if (!this.#isFollowing) void this.#follow();
    return reader;
  }

  #leave(programId: string, listener: Listener): void {
    const reader = this.#readers.get(programId);
    reader?.listeners.delete(listener);
    if (reader?.listeners.size === 0) this.#readers.delete(programId);
  }

  async #follow(): Promise<void> {
    this.#isFollowing = true;
    while (this.#readers.size > 0) {
      // A database that is away is asked again: what was committed meanwhile is still to be read.
      const isMore = await this.#look().catch((error: unknown) => {
        this.#deps.log.warn({ err: error }, 'the feed could not be read');
        return false;
      });
      if (!isMore) await sleep(PAUSE_MS, undefined, { ref: false });
    }
    this.#isFollowing = false;
  }

  /** Answers whether there is more than was read. */
  async #look(): Promise<boolean> {
    const places = [...this.#readers].flatMap(([programId, reader]) =>
      reader.cursor ? { programId, reader, after: reader.cursor } : [],
    );
    let isMore = false;
    for (const { programId, reader, after } of await withNews(this.#deps, places)) {
      const events = await readFeed(this.#deps, { programId, after, limit: PAGE });
      tell(reader, events);
      isMore ||= events.length === PAGE;
    }
    return isMore;
  }
}

function tell(reader: Reader, events: StoredEvent[]): void {
  for (const event of events) for (const listener of reader.listeners) listener.offer(event);
  reader.cursor = events.at(-1) ?? reader.cursor;
}

type Listening = { types: ReadonlySet<string> | undefined; onEnd: () => void };

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
    const { types } = this.#of;
    if (this.#isOver || (types && !types.has(event.type))) return;
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
