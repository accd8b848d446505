import { setTimeout as sleep } from 'node:timers/promises';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { Prisma, PrismaClient } from '../generated/prisma/client.ts';
import { unavailable } from './errors.ts';

export type Db = PrismaClient;

declare const insideTransaction: unique symbol;
/**
 * Only `inTransaction` makes one, so a function that takes a `Tx` holds its locks until the commit.
 */
export type Tx = Prisma.TransactionClient & { readonly [insideTransaction]: true };

// The server gives up first, then Prisma: the other way round a statement would outlive its caller.
const LOCK_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 20_000;
const SESSION = [
  '-c timezone=UTC',
  `-c lock_timeout=${LOCK_TIMEOUT_MS}`,
  `-c statement_timeout=${STATEMENT_TIMEOUT_MS}`,
  // Whatever a write is computed from is read after the lock: so a statement must see what has
  // committed meanwhile.
  '-c default_transaction_isolation=read\\ committed',
].join(' ');

const TRANSACTION_TIMEOUT_MS = 30_000;
const CONNECTION_WAIT_MS = 5_000;
const ATTEMPTS = 5;
/** A key that another transaction has just used: asked again, the statement finds its row. */
export const KEY_TAKEN = ['23505'] as const;
/** A row that another transaction has just deleted: asked again, the statement does without it. */
export const ROW_GONE = ['23503'] as const;

/** A URL may bring options of its own, and they would win over ours: ours come behind them. */
function withSession(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set('options', `${url.searchParams.get('options') ?? ''} ${SESSION}`.trim());
  return url.href;
}

// Serialisation failure and deadlock: the same work in a new transaction may well succeed.
const RETRYABLE = new Set(['40001', '40P01', 'P2034']);
// Lock not available; statement over its time; too many locks or connections; no connection in
// time; the server is going or gone.
const UNAVAILABLE = new Set([
  '55P03',
  '57014',
  '53200',
  '53300',
  '57P01',
  '57P02',
  '57P03',
  'P1001',
  'P1017',
  'P2024',
  'P2028',
  // The driver's own words, where a raw statement came to no server that could give a SQLSTATE.
  'DatabaseNotReachable',
  'ConnectionClosed',
  'TooManyConnections',
  'SocketTimeout',
]);

/**
 * adapter-pg reads a timestamptz as if it were UTC, whatever the session says: so the session says
 * UTC. `max` connections; the hot queues keep their own calls well below it.
 */
export function openDb(databaseUrl: string, options: { max?: number } = {}): Db {
  const pool = new pg.Pool({
    connectionString: withSession(databaseUrl),
    max: options.max ?? 16,
    connectionTimeoutMillis: CONNECTION_WAIT_MS,
  });
  // An idle connection that dies is replaced; a busy one fails its query. One that dies between its
  // query and its return to the pool has nobody who listens, and would end the process.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return new PrismaClient({
    adapter: new PrismaPg(pool, { disposeExternalPool: true }),
    transactionOptions: { timeout: TRANSACTION_TIMEOUT_MS, maxWait: CONNECTION_WAIT_MS },
  });
}

/**
 * SQLSTATE of a database error, or the driver's or Prisma's own code; undefined for any other
 * error.
 */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Prisma.PrismaClientKnownRequestError)) return undefined;
  const meta = error.meta as
    | { driverAdapterError?: { cause?: { originalCode?: string; kind?: string } } }
    | undefined;
  const cause = meta?.driverAdapterError?.cause;
  return cause?.originalCode ?? (error.code === 'P2010' ? cause?.kind : undefined) ?? error.code;
}

/** The name of the constraint that a statement broke: it stands in the message alone. */
export function constraintOf(error: unknown): string | undefined {
  return errorCode(error)?.startsWith('23')
    ? /\bconstraint [`"]([a-z0-9_]+)[`"]/.exec((error as Error).message)?.[1]
    : undefined;
}

/** A lock, a connection or the server was not to be had in time: the caller may ask again. */
export const isUnavailable = (error: unknown): boolean => UNAVAILABLE.has(errorCode(error) ?? '');

/** Retries the whole closure in a new transaction after a deadlock, at most five times. */
export function inTransaction<T>(deps: { db: Db }, work: (tx: Tx) => Promise<T>): Promise<T> {
  return retrying(() => deps.db.$transaction((tx) => work(tx as Tx)));
}

/**
 * For one statement that is its own transaction, such as a call of a hot function. `also`: further
 * codes after which the same statement may well do better.
 */
export async function retrying<T>(
  attempt: () => Promise<T>,
  also: readonly string[] = [],
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt();
    } catch (error) {
      if (isUnavailable(error)) throw unavailable('the database is busy: ask again');
      const code = errorCode(error) ?? '';
      if (!(RETRYABLE.has(code) || also.includes(code)) || tried === ATTEMPTS) throw error;
      await sleep(5 * tried);
    }
  }
}
