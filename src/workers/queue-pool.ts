import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const ASK_AGAIN_MS = 1_000;
/** "Cannot connect now": what the queue asks again after, a few seconds later. */
const CANNOT_CONNECT_NOW = '57P03';

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: unknown) => void,
) => void;

/**
 * The queue's own connections. It says that a job has ended without waiting for the answer: what
 * fails there is nobody's, and would end the process. So a server that goes away is waited for,
 * until the process is to stop; one that was never there is told at once.
 */
export class QueuePool extends pg.Pool {
  readonly #signal: AbortSignal;
  #reached = false;

  constructor(config: pg.PoolConfig, signal: AbortSignal) {
    super({ ...config, Client: QueueClient });
    this.#signal = signal;
    // A connection that dies is replaced, whether it was idle or just being opened.
    this.on('error', () => {});
    this.on('connect', (client) => client.on('error', () => {}));
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): Promise<pg.PoolClient> | undefined {
    const connecting = this.#connect();
    if (!callback) return connecting;
    connecting.then(
      (client) => callback(undefined, client, (error) => client.release(error as Error)),
      (error: Error) => callback(error, undefined, () => {}),
    );
  }

  async #connect(): Promise<pg.PoolClient> {
    for (;;) {
      try {
        const client = await super.connect();
        this.#reached = true;
        return client;
      } catch (error) {
        if (!this.#reached || this.#signal.aborted) throw error;
        await sleep(ASK_AGAIN_MS, undefined, { signal: this.#signal }).catch(() => {});
      }
    }
  }
}

class QueueClient extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: the driver's many forms of a call, as they are.
  override query(...args: any[]): any {
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    const answer = (super.query as any)(...args);
    return answer instanceof Promise ? answer.catch(rethrow) : answer;
  }
}

function rethrow(error: Error): never {
  const isAnswer = error instanceof pg.DatabaseError && !error.code?.startsWith('57P');
  throw isAnswer ? error : Object.assign(error, { code: CANNOT_CONNECT_NOW });
}
