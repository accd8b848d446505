/** The cap's tracker under schedules: what becomes of it never decides what is awarded. */
import { expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import { type BatchId, type MemberId, newId } from '../../src/kernel/ids.ts';
import { raiseTracker, readTracker } from '../../src/loyalty/cap-tracker.ts';
import { awardPoints } from '../../src/loyalty/index.ts';
import { awardPointsSql } from '../../src/loyalty/sql/award-points.ts';
import { aMember, unique } from '../support/factories.ts';
import { openLedger } from '../support/ledger.ts';
import { twoProcesses } from '../support/scenes.ts';
import { luck, rounds, torture } from '../support/torture.ts';

const on = await twoProcesses();
const capped = await openLedger(on.left, { settings: { dailyCap: 100 } });

const award = (deps: Deps, memberId: MemberId) =>
  awardPoints(deps, {
    ...{ programId: capped.programId, memberId, source: 'SHOPIFY', generation: 1, amount: 60 },
    orderId: unique('order'),
  });

/** Every order of some sequences, each of which keeps its own. */
function interleavings<T>(sequences: T[][]): T[][] {
  const open = sequences.filter(({ length }) => length > 0);
  if (open.length === 0) return [[]];
  return open.flatMap((chosen) => {
    const rest = open.map((one) => (one === chosen ? one.slice(1) : one));
    return interleavings(rest).map((later) => [chosen[0] as T, ...later]);
  });
}

/** One award in its steps, with a raise that is told again later; another whole; what harms. */
function trackerSteps(memberId: MemberId) {
  const of = { programId: capped.programId, memberId };
  const [key, today] = [`flash:cap:${of.programId}:${memberId}`, '2021-01-01'];
  let seen = { known: false, totals: {} };
  let total = 0n;
  const raise = async () => {
    raiseTracker(on.left, { ...of, lot: { day: new Date(today), points: total }, total, seen });
    await on.left.redis.ping();
  };
  const steps: Record<string, () => Promise<unknown>> = {
    read: async () => {
      seen = await readTracker(on.left, of);
    },
    commit: async () => {
      const item = { id: newId<BatchId>(on.left), orderId: unique('order'), amount: 60 };
      const said = { memberId, source: 'SHOPIFY', generation: 1, occurredAt: undefined } as const;
      const items = [{ ...said, ...item, tracked: seen.known }];
      const [answer] = await awardPointsSql(on.left.db, { programId: of.programId, items });
      total = answer?.dayTotal ?? 0n;
    },
    raise,
    'raise again': raise,
    rebuild: async () => {
      await award(on.right, memberId);
      await on.right.redis.ping();
    },
    flush: () => on.left.redis.del(key),
    ahead: () => on.left.redis.hset(key, today, '5000'),
  };
  return { steps, tracked: () => on.left.redis.hget(key, today) };
}

test('award, raise late, flush, rebuild, run ahead in every order: the cap holds', async () => {
  const award60 = ['read', 'commit', 'raise', 'raise again'];
  const twice = torture ? [['flush'], ['ahead']] : [];
  const orders = interleavings([award60, ['rebuild'], ['flush'], ['ahead'], ...twice]);
  const shown = luck('tracker').shuffled(orders).slice(0, rounds(210, 15_120));
  const show = async (order: string[]) => {
    const { id: memberId } = await aMember(on.left, { programId: capped.programId });
    const { steps, tracked } = trackerSteps(memberId);
    for (const step of order) await steps[step]?.();
    const lots = await on.left.db.ledgerBatch.findMany({ where: { memberId } });
    const points = lots.map((lot) => Number(lot.points)).sort();
    expect(points, order.join(', ')).toEqual([40, 60]);
    const more = await award(on.left, memberId);
    expect(more).toMatchObject({ ok: true, batch: { points: 0n, zeroReason: 'CAPPED' } });
    await on.left.redis.ping();
    expect(await tracked(), order.join(', ')).toBe('100');
  };
  while (shown.length > 0) await Promise.all(shown.splice(0, 10).map(show));
  expect(await capped.differences()).toEqual([]);
});
