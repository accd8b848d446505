/**
 * A load of everything that changes points while the clock goes on and lots expire; every step is
 * said again until it is acknowledged, and then each is there exactly once.
 */
import { expect } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import type { MemberId, ProgramId, SpendId } from '../../src/kernel/ids.ts';
import {
  awardPoints,
  expirePointsTask,
  grantPoints,
  type Refused,
  reconcilePoints,
  refundSpend,
  reverseAward,
  spendPoints,
} from '../../src/loyalty/index.ts';
import { advanceClock } from '../../src/programs/index.ts';
import { aProgram } from './factories.ts';
import { DAY, LADDER } from './ledger.ts';
import { manyMembers } from './scenes.ts';
import { type Luck, torture } from './torture.ts';

export const CAP = 100;
const GIVE_UP_MS = 60_000;
export const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const until = async (isSo: () => boolean) => {
  const giveUpAt = performance.now() + GIVE_UP_MS;
  while (!isSo() && performance.now() < giveUpAt) await pause(1);
  expect(isSo()).toBe(true);
};

export const aCappedProgram = (deps: Deps) =>
  aProgram(deps, {
    tiers: LADDER,
    settings: { baseRate: '100', dailyCap: CAP },
  } as Parameters<typeof aProgram>[1]);

export type Step = {
  kind: 'grant' | 'award' | 'spend' | 'reverse' | 'refund';
  memberId: MemberId;
  points: number;
  key: string;
  /** The order that is reversed; the id of the spend that is refunded. */
  of: string;
  /** Of a grant. */
  expiresAt: Date;
};
/** `made`: by what it is known, as the answer said. */
type Said = Pick<Step, 'kind' | 'memberId' | 'key'> & { made: string };

/** How a load reaches the engine: the n-th try goes to the n-th process. */
export type Take = (n: number, step: Step) => Promise<string>;

type Plan = [kind: Step['kind'], name: string, points: number, of?: string];
/** Whatever expires meanwhile, nobody is ever short of points. */
const PLAN: readonly Plan[] = [
  ['grant', 'gift', 100],
  ['award', 'first', 50],
  ['spend', 'first', 30],
  ['reverse', 'part', 20, 'first'],
  ['award', 'second', 50],
  ['spend', 'second', 30],
  ['refund', 'again', 10, 'first'],
  ['award', 'third', 50],
  ['spend', 'third', 20],
  ['reverse', 'whole', 50, 'third'],
];

export type Load = {
  programId: ProgramId;
  take: Take;
  /** Who sweeps, at present. */
  sweeper: () => Deps;
  now: Date;
  said: Said[];
};

/** Says every step again, to the next process, until it is acknowledged: as a client does. */
async function shop(load: Load, { n, memberId }: { n: number; memberId: MemberId }) {
  const made = new Map<string, string>();
  for (const [kind, name, points, other = ''] of PLAN) {
    const key = `${name} of ${memberId}`;
    const of = kind === 'refund' ? (made.get(`spend ${other}`) ?? '') : `${other} of ${memberId}`;
    const id = await insisting(n, (at) => {
      const expiresAt = new Date(load.now.getTime() + 2 * DAY);
      return load.take(at, { kind, memberId, points, key, of, expiresAt });
    });
    made.set(`${kind} ${name}`, id);
    load.said.push({ kind, memberId, key, made: id });
  }
}

async function insisting<T>(from: number, ask: (n: number) => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + GIVE_UP_MS;
  for (let n = from; ; n++) {
    try {
      return await ask(n);
    } catch (error) {
      if (performance.now() > giveUpAt) throw error;
      await pause(20);
    }
  }
}

const DAYS = 10;

/** One day after the other while they shop, and then until all gifts have expired. */
async function passDays(load: Load, shopping: { steps: number; isOver: boolean }) {
  for (let day = 1; day <= DAYS + 2; day++) {
    const isDue = () => load.said.length * DAYS >= shopping.steps * day;
    while (!(isDue() || shopping.isOver)) await pause(5);
    const to = new Date(load.now.getTime() + DAY);
    await insisting(day, () => sweep(load, to));
    load.now = to;
  }
}

/** The work of a day without its lease: what has died holds that for a while. */
async function sweep({ programId, sweeper }: Load, to: Date) {
  const deps = sweeper();
  await advanceClock(deps, { programId, to });
  const of = { programId, day: to.toISOString().slice(0, 10) };
  const due = await expirePointsTask.due(deps, { ...of, after: undefined, limit: 400 });
  const memberIds = due.map(({ memberId }) => memberId);
  await expirePointsTask.work(deps, { ...of, memberIds });
}

/** Many shop at once while days pass; somewhere in the first half of it `fault` comes. */
export async function underLoad(
  deps: Deps,
  load: Load,
  of: { dice: Luck; fault: () => Promise<unknown> },
): Promise<void> {
  load.said = [];
  const count = torture ? 80 : 20;
  const steps = count * PLAN.length;
  const enough = 10 + of.dice.below(steps / 2);
  const members = await manyMembers(deps, { programId: load.programId, count });
  const state = { steps, isOver: false };
  const shopping = Promise.all(members.map((memberId, n) => shop(load, { n, memberId }))).finally(
    () => {
      state.isOver = true;
    },
  );
  const passing = passDays(load, state);
  for (const told of [shopping, passing]) told.catch(() => {}); // below
  await until(() => load.said.length >= enough);
  await of.fault();
  await shopping;
  await passing;
  expect(load.said).toHaveLength(steps);
}

/** Lines of the journal that are older than the one before them. */
const linesOutOfTime = (deps: Deps, programId: ProgramId) =>
  deps.db.$queryRaw<{ id: bigint }[]>`
    SELECT id FROM (
      SELECT id, at, lag(at) OVER (PARTITION BY member_id ORDER BY id) AS before
      FROM ledger_entries WHERE program_id = ${programId}::uuid) lines
    WHERE at < before`;

/** Everything that was acknowledged is there, and is the only one of its kind. */
export async function expectKept(deps: Deps, { programId, said }: Load) {
  const memberId = { in: [...new Set(said.map((one) => one.memberId))] };
  const lots = await deps.db.ledgerBatch.findMany({ where: { programId, memberId } });
  const spends = await deps.db.spend.findMany({ where: { programId, memberId } });
  const orderId = { in: lots.flatMap((lot) => lot.orderId ?? []) };
  const backs = await deps.db.purchaseRefund.findMany({ where: { programId, orderId } });
  const resultId = { in: [...lots, ...spends].map(({ id }) => id) };
  const keys = await deps.db.idempotencyKey.findMany({ where: { programId, resultId } });
  const keyOf = new Map(keys.map((row) => [`${row.operation} ${row.resultId}`, row.key]));
  const kept = [
    ...lots.map(({ id, orderId: order }) =>
      order ? `award ${order} ${id}` : `grant ${keyOf.get(`grantPoints ${id}`)} ${id}`,
    ),
    ...spends.map(({ id, idempotencyKey }) => `spend ${idempotencyKey} ${id}`),
    ...spends
      .filter(({ refunded }) => refunded > 0n)
      .map(({ id, refunded }) => `refund ${keyOf.get(`refundSpend ${id}`)} ${id} ${refunded}`),
    ...backs.map(({ refundId, amount }) => `reverse ${refundId} ${amount}`),
  ];
  expect(kept.sort()).toEqual(said.map(({ kind, key, made }) => `${kind} ${key} ${made}`).sort());
  const expired = { programId, memberId, kind: 'EXPIRE' } as const;
  expect(await deps.db.ledgerEntry.count({ where: expired })).toBeGreaterThan(0);
  expect(await reconcilePoints(deps, { programId })).toEqual([]);
  expect(await linesOutOfTime(deps, programId)).toEqual([]);
}

const orThrow = <T extends { ok: true }>(answer: T | Refused): T => {
  if (!answer.ok) throw new Error(answer.reason);
  return answer;
};

/** Straight to the commands, of the n-th of some processes. */
export function takenBy(deps: (n: number) => Deps, programId: ProgramId): Take {
  const take: Record<Step['kind'], (to: Deps, step: Step) => Promise<string>> = {
    grant: async (to, { memberId, points, key, expiresAt }) => {
      const gift = { programId, memberId, points, expiresAt, reason: 'a gift' };
      return (await grantPoints(to, { ...gift, idempotencyKey: key })).id;
    },
    award: async (to, { memberId, points, key }) => {
      const purchase = { source: 'SHOPIFY', orderId: key, generation: 1, amount: points };
      return orThrow(await awardPoints(to, { programId, memberId, ...purchase })).batch.id;
    },
    spend: async (to, { memberId, points, key: idempotencyKey }) => {
      const asked = { programId, memberId, points, idempotencyKey };
      return orThrow(await spendPoints(to, asked)).spend.id;
    },
    reverse: async (to, { points, key, of }) => {
      const purchase = { source: 'SHOPIFY', orderId: of, generation: 1, amount: points };
      await reverseAward(to, { programId, refundId: key, ...purchase });
      return String(points);
    },
    refund: async (to, { points, key: idempotencyKey, of }) => {
      const asked = { programId, spendId: of as SpendId, points, idempotencyKey };
      const { id, refunded } = await refundSpend(to, asked);
      return `${id} ${refunded}`;
    },
  };
  return (n, step) => take[step.kind](deps(n), step);
}
