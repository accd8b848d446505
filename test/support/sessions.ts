/**
 * Raw connections that call the hot functions themselves, inside transactions of their own: the
 * queues of a process would hide what happens when two of its calls meet in the database.
 */
import pg from 'pg';
import type { Deps } from '../../src/deps.ts';
import { atEndOfFile } from './end-of-file.ts';
import { until } from './until.ts';

// Before the test does, and longer than a busy machine holds up whoever is to let the lock go.
const LOCK_TIMEOUT_MS = 10_000;

export type ClaimBy = {
  poolId: string;
  memberId?: string;
  email?: string;
  recipientId?: string;
  claimKey?: string;
  /** Null: the code is issued, and nobody is given its text. */
  actor?: string | null;
};
export type RedeemBy = { hash: string; orderId: string; amount?: number };
export type Answered = { outcome: string; codeId: string | null };

export type Session = {
  begin(): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>;
  claim(programId: string, items: ClaimBy[]): Promise<Answered[]>;
  redeem(programId: string, items: RedeemBy[]): Promise<Answered[]>;
  /** Until somebody waits for a lock that this session holds, or it is over. */
  isWaitedFor(isOver?: () => boolean): Promise<void>;
  close(): Promise<void>;
};

const open = new Set<pg.Client>();

/** A test that failed half way must not leave its transaction to the next one. */
export async function rollBackAll(): Promise<void> {
  for (const client of open) await client.query('ROLLBACK');
}

export async function sessions(databaseUrl: string, count: number): Promise<Session[]> {
  return Promise.all(Array.from({ length: count }, () => session(databaseUrl)));
}

async function session(databaseUrl: string): Promise<Session> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    options: `-c timezone=UTC -c lock_timeout=${LOCK_TIMEOUT_MS}`,
  });
  await client.connect();
  open.add(client);
  const close = async () => {
    if (open.delete(client)) await client.end();
  };
  atEndOfFile(close);
  const query = async <Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []) =>
    (await client.query<Row>(sql, values)).rows;
  return {
    begin: async () => void (await query('BEGIN')),
    commit: async () => void (await query('COMMIT')),
    rollback: async () => void (await query('ROLLBACK')),
    query,
    claim: (programId, items) =>
      query<Answered>(CLAIM, [programId, JSON.stringify(items.map(claimItem))]),
    redeem: (programId, items) =>
      query<Answered>(REDEEM, [programId, JSON.stringify(items.map(redeemItem))]),
    isWaitedFor: (isOver = () => false) =>
      until(async () => isOver() || (await query(WAITED_FOR)).length > 0),
    close,
  };
}

const CLAIM = `
  SELECT outcome, (code).id AS "codeId" FROM claim_codes($1::uuid, $2::jsonb, '{}'::jsonb)
  ORDER BY ord`;
const REDEEM = `
  SELECT outcome, (code).id AS "codeId" FROM redeem_codes($1::uuid, $2::jsonb) ORDER BY ord`;

// Not of pg_stat_activity, which a transaction reads but once.
const WAITED_FOR = `
  SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))`;

const claimItem = (item: ClaimBy, ord: number) => ({
  ord,
  pool_id: item.poolId,
  member_id: item.memberId,
  email: item.email,
  recipient_id: item.recipientId,
  claim_key: item.claimKey ?? '',
  actor: item.actor === undefined ? 'key:race' : item.actor,
});

const redeemItem = (item: RedeemBy, ord: number) => ({
  ord,
  hashes: [item.hash],
  order_id: item.orderId,
  order_amount: item.amount ?? 10_000,
  redemption_id: crypto.randomUUID(),
});

/** What `Session.redeem` knows a code by. */
export async function hashOf(deps: Deps, of: { programId: string; id: string }): Promise<string> {
  const { programId, id } = of;
  const code = await deps.db.code.findUniqueOrThrow({ where: { programId_id: { programId, id } } });
  return Buffer.from(code.lookupHash).toString('hex');
}

/** Asks until the answer is no longer AGAIN, as the queue of a process would. */
export async function untilAnswered(ask: () => Promise<Answered[]>): Promise<Answered> {
  for (;;) {
    const [answer] = await ask();
    if (!answer) throw new Error('a hot function left an item unanswered');
    if (answer.outcome !== 'AGAIN') return answer;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
