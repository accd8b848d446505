/**
 * What races begin with and end with: two processes on one database, many members, a sound
 * database.
 */
import { expect } from 'vitest';
import {
  type Claim,
  type Claimed,
  claimCode,
  type Redeem,
  type Redeemed,
  type Refused,
  redeemCode,
} from '../../src/coupons/index.ts';
import { type Deps, openDeps } from '../../src/deps.ts';
import { type MemberId, newIds, type ProgramId } from '../../src/kernel/ids.ts';
import { programNow } from '../../src/programs/index.ts';
import { testDatabase, testDeps } from './database.ts';
import { aPool, aProgram, unique } from './factories.ts';
import { hashOf, type Session, sessions } from './sessions.ts';

export type Processes = { databaseUrl: string; left: Deps; right: Deps; either(n: number): Deps };

/** Two Deps share nothing but the database and Redis, as the queues of two API processes do. */
export async function twoProcesses(): Promise<Processes> {
  const databaseUrl = await testDatabase();
  const left = await testDeps({ databaseUrl });
  const right = await testDeps({ databaseUrl });
  return { databaseUrl, left, right, either: (n) => (n % 2 === 0 ? left : right) };
}

/** A program in a database of its own, two processes, and two sessions that have begun nothing. */
export async function aRace() {
  const on = await twoProcesses();
  const { programId } = await aProgram(on.left);
  const [first, second] = (await sessions(on.databaseUrl, 2)) as [Session, Session];
  return { on, programId, first, second };
}

/** Members without an address, in one statement. */
export async function manyMembers(
  deps: Deps,
  of: { programId: ProgramId; count: number },
): Promise<MemberId[]> {
  const { programId, count } = of;
  const tier = await deps.db.tier.findFirstOrThrow({ where: { programId, rank: 1 } });
  const ids = newIds<MemberId>(deps, count);
  const common = {
    programId,
    tierId: tier.id,
    emailVerified: false,
    createdAt: await programNow(deps, { programId }),
  };
  const data = ids.map((id) => ({ id, externalId: unique('many'), ...common }));
  await deps.db.member.createMany({ data });
  return ids;
}

/** BUSY says "ask again", so it is: what is asserted is the answer that comes in the end. */
export async function claim(deps: Deps, by: Claim): Promise<Claimed | Refused> {
  return insisting(() => claimCode(deps, by));
}

export async function redeem(
  deps: Deps,
  by: Omit<Redeem, 'orderAmount' | 'asker'> & Partial<Redeem>,
): Promise<Redeemed | Refused> {
  return insisting(() =>
    redeemCode(deps, { orderAmount: 10_000, asker: { kind: 'merchant' }, ...by }),
  );
}

async function insisting<T extends { ok: boolean }>(ask: () => Promise<T | Refused>) {
  for (let tries = 0; ; tries++) {
    const answer = await ask();
    if (answer.ok || (answer as Refused).reason !== 'BUSY' || tries === 10) return answer;
  }
}

export type HeldCode = { id: string; plaintext: string; hash: string };

/** Codes that members hold already, one each, of one pool. */
export async function heldCodes(
  deps: Deps,
  of: { programId: ProgramId; count: number; stackable?: boolean },
): Promise<HeldCode[]> {
  const { programId, count, stackable = false } = of;
  const pool = await aPool(deps, { programId, codes: count, input: { stackable } });
  const members = await manyMembers(deps, { programId, count });
  return Promise.all(
    members.map(async (memberId) => {
      const claimed = await claim(deps, { programId, poolId: pool.id, memberId, actor: 'key:a' });
      if (!claimed.ok) throw new Error(claimed.reason);
      const { id } = claimed.code;
      return { id, plaintext: claimed.plaintext, hash: await hashOf(deps, { programId, id }) };
    }),
  );
}

/** How many of each answer there were: a refusal's reason, or what `ok` says about a success. */
export function tally<T extends { ok: true }>(
  answers: (T | { ok: false; reason: string })[],
  ok: (answer: T) => string,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) {
    const name = answer.ok ? ok(answer) : answer.reason;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

export const newOrHeld = (answer: Claimed) => (answer.alreadyClaimed ? 'held' : 'new');
export const newOrRepeated = (answer: Redeemed) => (answer.alreadyRedeemed ? 'repeated' : 'new');

/** Whatever happened before, this holds; each line is a question whose answer is to be empty. */
export async function expectSound(deps: Deps, programId: ProgramId): Promise<void> {
  const violations = await deps.db.$queryRaw<{ what: string; id: string }[]>`
    SELECT 'a claimant beyond the limit of a pool' AS what, l.claimant AS id
      FROM claims l JOIN pools p ON p.program_id = l.program_id AND p.id = l.pool_id
      WHERE l.program_id = ${programId}::uuid
      GROUP BY l.pool_id, l.claimant, p.per_member_limit HAVING count(*) > p.per_member_limit
    UNION ALL
    SELECT 'a code that is claimed other than once in its pool', c.id::text FROM codes c
      WHERE c.program_id = ${programId}::uuid
        AND (c.allocated_at IS NOT NULL AND c.replaced_by_id IS NULL)::int <> (
        SELECT count(*) FROM claims l
        WHERE l.program_id = c.program_id AND l.pool_id = c.pool_id AND l.code_id = c.id)
    UNION ALL
    SELECT 'a code handed out twice, or seen without a record of it', c.id::text FROM codes c
      CROSS JOIN LATERAL (
        SELECT count(*) AS all, count(*) FILTER (WHERE kind = 'CLAIM') AS claims
        FROM code_reveals r WHERE r.program_id = c.program_id AND r.code_id = c.id) r
      WHERE c.program_id = ${programId}::uuid
        AND (r.claims > 1 OR (c.revealed_at IS NULL) <> (r.all = 0 AND NOT EXISTS (
          SELECT FROM events e WHERE e.program_id = c.program_id AND e.type = 'code.reserved'
            AND e.data->>'codeId' = c.id::text)))
    UNION ALL
    SELECT 'a code and its redemption that disagree', c.id::text FROM codes c
      WHERE c.program_id = ${programId}::uuid AND (c.status = 'REDEEMED')::int <> (
        SELECT count(*) FROM redemptions r
        WHERE r.program_id = c.program_id AND r.code_id = c.id AND r.voided_at IS NULL)
    UNION ALL
    SELECT 'an order with discounts that do not stack', r.order_id FROM redemptions r
      WHERE r.program_id = ${programId}::uuid AND r.voided_at IS NULL
      GROUP BY r.order_id HAVING count(*) > 1 AND NOT bool_and(r.stackable)
    UNION ALL
    SELECT 'a batch that has not the codes it says', b.id::text FROM code_batches b
      LEFT JOIN (SELECT batch_id, count(*) FROM codes WHERE program_id = ${programId}::uuid
        GROUP BY batch_id) made ON made.batch_id = b.id
      WHERE b.program_id = ${programId}::uuid AND b.count IS DISTINCT FROM made.count
    UNION ALL
    SELECT 'a pool with more codes than it may have', p.id::text FROM pools p
      WHERE p.program_id = ${programId}::uuid AND p.max_codes < (
        SELECT count(*) FROM codes c WHERE c.program_id = p.program_id AND c.pool_id = p.id)`;
  expect(violations).toEqual([]);
}

/** Two processes that have ended when this returns, so that all they have counted is to be seen. */
export async function passing(deps: Deps, work: (either: (n: number) => Deps) => Promise<void>) {
  const pair = [await openDeps(deps.config), await openDeps(deps.config)] as const;
  try {
    await work((n) => pair[n % 2 === 0 ? 0 : 1]);
  } finally {
    for (const one of pair) await one.close();
  }
}

/** Deadlocks that the server has broken in this database, of those who met one and have ended. */
export async function deadlocks(deps: Deps): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 200));
  const [row] = await deps.db.$queryRaw<{ count: bigint }[]>`
    SELECT deadlocks AS count FROM pg_stat_database WHERE datname = current_database()`;
  return Number(row?.count);
}

/**
 * Runs `second` while the transaction of `first` is open, and commits once it has answered or
 * waits for it: not for one that asks again and again. What it answers is its outcome, or its error
 * as a value: a test then asks the database what counts.
 */
export async function overlapping<T>(
  first: Pick<Session, 'commit' | 'isWaitedFor'>,
  second: () => Promise<T>,
): Promise<T | Error> {
  const answer = second().catch((error: Error) => error);
  let isOver = false;
  answer.then(() => {
    isOver = true;
  });
  await first.isWaitedFor(() => isOver);
  await first.commit();
  return answer;
}
