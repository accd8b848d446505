import { setTimeout as sleep } from 'node:timers/promises';
import { isBusy, unavailable } from './errors.ts';

/**
 * Requests that wait at the same moment go to the database together: one set-based call for up to
 * 120 of them. The cost of one operation is round trips and commits, and those can be shared.
 */
export type HotOperation<Input, Outcome> = {
  /**
   * One call of a hot function, answered in the order of the inputs; AGAIN where a lock is taken.
   */
  call(programId: string, inputs: Input[]): Promise<(Outcome | 'AGAIN')[]>;
  /** Inputs with the same key are one request that was sent twice: they share one outcome. */
  same(input: Input): string;
  /** What the input locks; the first decides its lane. A call holds one input for each lock. */
  locks(input: Input): readonly string[];
  /** What those who shared an outcome are told, after the first. */
  repeated(outcome: Outcome): Outcome;
};

type Waiter<Outcome> = {
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
  giveUpAt: number;
};
type Entry<Input, Outcome> = {
  input: Input;
  tries: number;
  waiters: Waiter<Outcome>[];
};
type Settled<Outcome> = { value: Outcome | 'AGAIN' } | { error: unknown };

const CALL_SIZE = 120;
const LANES = 2;
const PATIENCE_MS = 2_000;
const MAX_PAUSE_MS = 25;

/**
 * How many calls of all operations and programs may be in flight: the rest of the pool stays free.
 */
export class CallLimit {
  private free: number;
  private readonly queue: (() => void)[] = [];

  constructor(size: number) {
    this.free = size;
  }

  /** First come, first served: a lane queues anew for each call, so no program starves another. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.queue.push(resolve));
    try {
      return await call();
    } finally {
      const next = this.queue.shift();
      if (next) next();
      else this.free += 1;
    }
  }
}

/** What a queue is to those who ask it. */
export type Hot<Input, Outcome> = Pick<HotQueue<Input, Outcome>, 'submit'>;

/** The queue of one operation: two lanes for each program that has requests waiting. */
export class HotQueue<Input, Outcome> {
  private readonly lanes = new Map<string, Lane<Input, Outcome>>();
  private readonly operation: HotOperation<Input, Outcome>;
  private readonly limit: CallLimit;

  constructor(operation: HotOperation<Input, Outcome>, limit: CallLimit) {
    this.operation = operation;
    this.limit = limit;
  }

  /** Rejects with SERVICE_UNAVAILABLE when its locks were not to be had within two seconds. */
  submit(programId: string, input: Input): Promise<Outcome> {
    const name = `${programId}/${hash(this.operation.locks(input)[0] ?? '') % LANES}`;
    let lane = this.lanes.get(name);
    if (!lane) {
      lane = new Lane(programId, {
        operation: this.operation,
        limit: this.limit,
        emptied: () => this.lanes.delete(name),
      });
      this.lanes.set(name, lane);
    }
    return lane.submit(input);
  }
}

type LaneOf<Input, Outcome> = {
  operation: HotOperation<Input, Outcome>;
  limit: CallLimit;
  emptied(): void;
};

/** One call in flight at a time. Two inputs with the same first lock never meet in two calls. */
class Lane<Input, Outcome> {
  private readonly programId: string;
  private readonly of: LaneOf<Input, Outcome>;
  private waiting = new Map<string, Entry<Input, Outcome>>();
  private resting = 0;
  private draining = false;

  constructor(programId: string, of: LaneOf<Input, Outcome>) {
    this.programId = programId;
    this.of = of;
  }

  submit(input: Input): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const giveUpAt = performance.now() + PATIENCE_MS;
      this.add({ input, tries: 0, waiters: [{ resolve, reject, giveUpAt }] });
    });
  }

  /**
   * Joins only what still waits: a call in flight may have judged what changed before this came.
   */
  private add(entry: Entry<Input, Outcome>) {
    const key = this.of.operation.same(entry.input);
    const twin = this.waiting.get(key);
    if (twin) twin.waiters.push(...entry.waiters);
    else this.waiting.set(key, entry);
    if (!this.draining) void this.drain();
  }

  private async drain() {
    this.draining = true;
    // Whatever else arrives in this turn of the event loop shares the first call.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.waiting.size > 0) {
      await this.of.limit.run(async () => {
        const entries = this.take();
        const outcomes = await this.attempt(entries);
        for (const [index, entry] of entries.entries())
          this.settle(entry, outcomes[index] as Settled<Outcome>);
      });
    }
    this.draining = false;
    if (this.resting === 0) this.of.emptied();
  }

  /** Up to 120 entries in the order they came, at most one for each lock. */
  private take(): Entry<Input, Outcome>[] {
    const taken: Entry<Input, Outcome>[] = [];
    const locked = new Set<string>();
    for (const [key, entry] of this.waiting) {
      if (taken.length === CALL_SIZE) break;
      const locks = this.of.operation.locks(entry.input);
      if (locks.some((lock) => locked.has(lock))) continue;
      for (const lock of locks) locked.add(lock);
      this.waiting.delete(key);
      taken.push(entry);
    }
    return taken;
  }

  /**
   * A call that fails as a whole is repeated in halves, until the item is found that it fails for:
   * every hot operation is idempotent. A server that is not there fails for all alike.
   */
  private async attempt(entries: Entry<Input, Outcome>[]): Promise<Settled<Outcome>[]> {
    try {
      const inputs = entries.map((entry) => entry.input);
      const outcomes = await this.of.operation.call(this.programId, inputs);
      return outcomes.map((value) => ({ value }));
    } catch (error) {
      if (entries.length === 1 || isBusy(error)) return entries.map(() => ({ error }));
      const half = Math.ceil(entries.length / 2);
      const first = await this.attempt(entries.slice(0, half));
      return [...first, ...(await this.attempt(entries.slice(half)))];
    }
  }

  private settle(entry: Entry<Input, Outcome>, settled: Settled<Outcome>) {
    if ('error' in settled) for (const waiter of entry.waiters) waiter.reject(settled.error);
    else if (settled.value === 'AGAIN') void this.again(entry);
    else {
      const outcome = settled.value;
      const [first, ...others] = entry.waiters;
      first?.resolve(outcome);
      for (const waiter of others) waiter.resolve(this.of.operation.repeated(outcome));
    }
  }

  /** Waits outside of any lock and any call, then joins whatever call comes next. */
  private async again(entry: Entry<Input, Outcome>) {
    const now = performance.now();
    const late = entry.waiters.filter((waiter) => waiter.giveUpAt < now);
    for (const waiter of late) waiter.reject(unavailable('the engine is busy: ask again'));
    entry.waiters = entry.waiters.filter((waiter) => waiter.giveUpAt >= now);
    if (entry.waiters.length === 0) return;
    entry.tries += 1;
    this.resting += 1;
    await sleep(Math.min(2 * entry.tries, MAX_PAUSE_MS));
    this.resting -= 1;
    this.add(entry);
  }
}

/** FNV-1a: spreads locks over lanes; nothing else depends on it. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
