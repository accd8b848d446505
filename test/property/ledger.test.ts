import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Mistake } from '../../src/kernel/errors.ts';
import type { MemberId, SpendId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { DAY, HOUR, LADDER, type Ledger, openLedger } from '../support/ledger.ts';
import { localDays } from '../support/local-days.ts';
import { type Lot, Oracle, type Said, type Terms } from '../support/oracle.ts';
import { rounds, seed } from '../support/torture.ts';

const deps = await testDeps();

const nat = (end: number) => fc.nat({ max: end - 1 });
const member = fc.constantFrom(0, 0, 0, 1, 2);
const source = fc.constantFrom('RECEIPT', 'SHOPIFY', 'SHOPIFY');
/** Mostly a new one; now and then one of a few, so that keys meet again. */
const mostlyNew = (...few: string[]) =>
  fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, fc.constantFrom(...few));
const order = mostlyNew('o-1', 'o-2', 'o-3', 'o-4');
const key = mostlyNew('k-1', 'k-2', 'k-3', 'k-4');
const generation = fc.constantFrom(1, 1, 1, 2, 3);
const small = fc.constantFrom(1, 7, 40, 99, 100, 250);
type Values<T> = { [K in keyof T]: T[K] extends fc.Arbitrary<infer V> ? V : never };
const of = <Name extends string, T>(name: Name, weight: number, fields: T) => {
  const arbitrary = fc.record({ ...fields, do: fc.constant(name) });
  return { weight, arbitrary: arbitrary as unknown as fc.Arbitrary<Values<T> & { do: Name }> };
};
const amount = fc.constantFrom(9, 10, 99, 100, 101, 333, 1_000);
const back = fc.constantFrom(...Array(9).fill(undefined), -HOUR, -DAY, -2 * DAY, -6 * DAY, HOUR);
const ms = fc.constantFrom(1, HOUR, 5 * HOUR, DAY, 3 * DAY, 12 * DAY, 31 * DAY);
const points = fc.oneof(small, fc.constantFrom('half', 'all', 'all'));
const step = fc.oneof(
  of('award', 12, { member, source, order, generation, amount, back }),
  of('grant', 2, {
    member,
    points: small,
    key,
    days: fc.constantFrom(undefined, undefined, 9, 40),
  }),
  of('spend', 9, { member, points, key }),
  of('refundSpend', 4, { spend: nat(20), points: small, key }),
  of('reverse', 8, {
    ...{ lot: fc.option(nat(30), { freq: 3 }), source, order, generation },
    amount: fc.constantFrom(1, 33, 50, 100, 'rest' as const, 'rest' as const, 'rest' as const),
    refund: mostlyNew('r-1', 'r-2', 'r-3'),
  }),
  of('tick', 3, { ms }),
  of('advance', 2, { ms }),
  of('sweep', 2, {}),
  of('cap', 1, { cap: fc.constantFrom(null, 0, 60, 150, 2_000) }),
  of('tracker', 1, { total: fc.constantFrom(null, '0', '70', '100000', 'nonsense') }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const world = fc.record({
  timeZone: fc.constantFrom('UTC', 'America/New_York', 'Pacific/Kiritimati', 'Australia/Lord_Howe'),
  currency: fc.constantFrom(['USD', 2, '100'], ['JPY', 0, '0.999'], ['KWD', 3, '1234.567']),
  maturityDays: fc.constantFrom(0, 0, 1, 5),
  expiryMonths: fc.constantFrom(1, 1, 2, null),
  earliestExpiry: fc.boolean(),
  cap: fc.constantFrom(null, null, 150, 2_000),
  // Clocks change in March and November; the last of January has no day of its own in February.
  start: fc.constantFrom('2021-01-30', '2021-03-12', '2021-04-02', '2021-11-05'),
});
type Wanted = typeof world extends fc.Arbitrary<infer T> ? T : never;

type World = { ledger: Ledger; oracle: Oracle; members: MemberId[]; spends: Map<string, SpendId> };

async function aWorld(wanted: Wanted): Promise<World> {
  const [currency, digits, baseRate] = wanted.currency as [string, number, string];
  const { timeZone, maturityDays, expiryMonths, cap, earliestExpiry } = wanted;
  const start = new Date(`${wanted.start}T20:00:00Z`);
  const common = { minAmount: 10, maturityDays, expiryMonths };
  const spendOrder = earliestExpiry ? 'EARLIEST_EXPIRY' : 'OLDEST_EARNED';
  const ledger = await openLedger(deps, {
    ...{ currency, timeZone, clock: start },
    settings: { ...common, baseRate, dailyCap: cap, spendOrder, maxBackdateDays: 5 },
  });
  const members = [await ledger.member(1), await ledger.member(2), await ledger.member(3)];
  const terms: Terms = {
    ...{ ...common, digits, cap, earliestExpiry, backdateDays: 5 },
    rate: Math.round(Number(baseRate) * 1e6),
  };
  const holders = members.map((id, rank) => ({
    ...{ id, debt: 0 },
    multiplier: LADDER[rank]?.multiplier as number,
  }));
  const oracle = new Oracle({ terms, holders, days: localDays(timeZone), now: start.getTime() });
  return { ledger, oracle, members, spends: new Map() };
}

/** What was answered, in the oracle's words. */
async function judged(work: Promise<unknown>): Promise<Record<string, unknown>> {
  const answer = await work.catch((error: unknown) => {
    if (error instanceof Mistake) return { ok: false, reason: error.code };
    throw error;
  });
  return answer as Record<string, unknown>;
}

function expectSaid<T>(answer: Record<string, unknown>, said: Said<T>) {
  if ('refused' in said) expect(said.refused).toContain(answer.reason);
  else expect(answer.reason).toBeUndefined();
  const repeated = answer.alreadyAwarded ?? answer.alreadySpent ?? answer.alreadyReversed;
  if ('ok' in said && repeated !== undefined) expect(repeated).toBe(said.repeated);
}

const at = (time: number) => new Date(time);
type Doing<Name> = { world: World; step: Extract<Step, { do: Name }> };

async function award({ world, step }: Doing<'award'>) {
  const { ledger, oracle, members } = world;
  const memberId = members[step.member] as MemberId;
  const { source, amount } = step;
  const order = step.order ?? unique('o');
  const generation = step.order ? step.generation : 1;
  const when = step.back === undefined ? undefined : oracle.now + step.back;
  const { awarded } = oracle.quote({ member: memberId, amount, at: oracle.now });
  expect((await ledger.quote(memberId, amount))?.awarded).toBe(BigInt(awarded));
  const bought = { source, generation, amount, ...(when ? { occurredAt: at(when) } : {}) };
  const answer = await judged(ledger.award(memberId, order, bought));
  const purchase = { member: memberId, source, order, generation, amount };
  expectSaid(answer, oracle.award({ ...purchase, ...(when ? { at: when } : {}) }));
}

async function grant({ world, step }: Doing<'grant'>) {
  const { ledger, oracle, members } = world;
  const memberId = members[step.member] as MemberId;
  const expiresAt = step.days === undefined ? undefined : oracle.now + step.days * DAY;
  const key = step.key ?? unique('k');
  const said = { key, ...(expiresAt ? { expiresAt: at(expiresAt) } : {}) };
  const answer = await judged(ledger.grant(memberId, step.points, said));
  const ask = { member: memberId, points: step.points, key };
  expectSaid(
    { reason: answer.ok === false ? answer.reason : undefined },
    oracle.grant({
      ...ask,
      ...(expiresAt ? { expiresAt } : {}),
    }),
  );
}

async function spend({ world, step }: Doing<'spend'>) {
  const memberId = world.members[step.member] as MemberId;
  const key = step.key ?? unique('k');
  const all = world.oracle.balance(memberId);
  const some = step.points === 'all' ? all : Math.floor(all / 2);
  const points = typeof step.points === 'number' ? step.points : Math.max(1, some);
  const answer = await judged(world.ledger.spend(memberId, points, key));
  expectSaid(answer, world.oracle.spend({ member: memberId, points, key }));
  if (answer.ok) world.spends.set(key, (answer.spend as { id: SpendId }).id);
}

async function refundSpend({ world, step }: Doing<'refundSpend'>) {
  const spend = world.oracle.spends[step.spend % Math.max(1, world.oracle.spends.length)];
  if (!spend) return;
  const id = world.spends.get(spend.key) as SpendId;
  const { points, key = unique('k') } = step;
  const answer = await judged(world.ledger.refund(id, points, key));
  const said = world.oracle.refundSpend({ spend, points, key });
  expectSaid({ reason: answer.ok === false ? answer.reason : undefined }, said);
}

/** Of a purchase that was awarded, or of one that may come. */
function refunded({ world, step }: Doing<'reverse'>) {
  const bought = world.oracle.lots.filter((lot) => lot.order !== null);
  const named = step.lot === null ? undefined : bought[step.lot % Math.max(1, bought.length)];
  const { order = unique('o') } = step;
  if (!named) return { source: step.source, order, generation: step.generation, rest: 100 };
  const { source, generation, amount, refunded } = named;
  const rest = Math.max(1, (amount as number) - refunded);
  return { source, order: named.order as string, generation, rest };
}

async function reverse({ world, step }: Doing<'reverse'>) {
  const { rest, ...order } = refunded({ world, step });
  const { refund: id = unique('r') } = step;
  const amount = step.amount === 'rest' ? rest : step.amount;
  const by = { source: order.source, generation: order.generation, refundId: id };
  const answer = await judged(world.ledger.reverse(order.order, amount, by));
  const said = world.oracle.reverse({ id, ...order, amount });
  expectSaid(answer, said);
  if ('ok' in said) {
    const { pending, reversed, debt } = said.ok;
    expect(answer).toMatchObject({ pending, reversed: BigInt(reversed), debt: BigInt(debt) });
  }
}

async function others({ world, step }: { world: World; step: Step }) {
  const { ledger, oracle } = world;
  if (step.do === 'tick' || step.do === 'advance') {
    const to = oracle.now + step.ms;
    oracle[step.do](to);
    await ledger[step.do](at(to));
  }
  if (step.do === 'sweep') {
    oracle.sweepToday();
    await ledger.sweep();
  }
  if (step.do === 'cap') {
    oracle.terms.cap = step.cap;
    await ledger.set({ dailyCap: step.cap });
  }
  // Whatever the tracker holds, the ledger decides.
  if (step.do === 'tracker') {
    const { redis } = deps;
    for (const key of await redis.keys('*')) {
      const days = await redis.hkeys(key);
      if (step.total === null) await redis.del(key);
      else for (const day of days) await redis.hset(key, day, step.total);
    }
  }
}

const doing: { [Name in Step['do']]?: (of: Doing<Name>) => Promise<void> } = {
  award,
  grant,
  spend,
  refundSpend,
  reverse,
};

const n = (value: bigint | null) => (value === null ? null : Number(value));

/** Everything that the ledger holds, and the same of the oracle, in one shape. */
async function expectEqual({ ledger, oracle, members }: World) {
  const where = { programId: ledger.programId };
  const [lots, entries, spends, draws, refunds] = await Promise.all([
    ledger.lots(),
    deps.db.ledgerEntry.findMany({ where, orderBy: { id: 'asc' } }),
    deps.db.spend.findMany({ where }),
    deps.db.consumptionAllocation.findMany({ where, orderBy: { position: 'asc' } }),
    deps.db.purchaseRefund.findMany({ where }),
  ]);
  const place = new Map(lots.map((lot, index) => [lot.id, index]));
  const placeOf = (lot: Lot | null) => (lot ? oracle.lots.indexOf(lot) : null);
  const drawnOf = (lot: Lot) =>
    oracle.spends
      .flatMap((s) => s.draws)
      .reduce((sum, d) => sum + (d.lot === lot ? d.points - d.refunded : 0), 0);
  expect(
    lots.map((l) => ({
      ...{ member: l.memberId, source: l.source, order: l.orderId, generation: l.generation },
      ...{ amount: n(l.amount), requested: n(l.requested), points: n(l.points), cap: n(l.cap) },
      ...{ remaining: n(l.remaining), expired: n(l.expired), reversed: n(l.reversed) },
      ...{ cancelled: n(l.cancelled), forgone: n(l.forgone), refunded: n(l.refunded) },
      ...{ zero: l.zeroReason, day: l.day.toISOString().slice(0, 10), drawn: n(l.drawn) },
      ...{ earnedAt: l.earnedAt.getTime(), maturesAt: l.maturesAt.getTime() },
      expiresAt: l.expiresAt?.getTime() ?? null,
    })),
  ).toEqual(oracle.lots.map((lot) => ({ ...lot, drawn: drawnOf(lot) })));
  for (const id of members) {
    const own = entries.filter((entry) => entry.memberId === id);
    const expected = oracle.entries.filter((entry) => entry.member === id);
    expect(
      own.map((e) => [
        e.kind,
        n(e.points),
        n(e.balanceAfter),
        place.get(e.batchId ?? '') ?? null,
        e.at.getTime(),
      ]),
    ).toEqual(expected.map((e) => [e.kind, e.points, e.after, placeOf(e.lot), e.at]));
    const { debt } = oracle.holder(id);
    const points = [oracle.balance(id), oracle.pending(id), debt, oracle.outstanding(id)];
    expect(await ledger.points(id)).toEqual(points);
  }
  const drawsOf = (id: string) => draws.filter((draw) => draw.spendId === id);
  expect(
    new Map(
      spends.map((s) => [
        s.idempotencyKey,
        [
          n(s.points),
          n(s.refunded),
          drawsOf(s.id).map((d) => [place.get(d.batchId), n(d.points), n(d.refunded)]),
        ],
      ]),
    ),
  ).toEqual(
    new Map(
      oracle.spends.map((s) => [
        s.key,
        [s.points, s.refunded, s.draws.map((d) => [placeOf(d.lot), d.points, d.refunded])],
      ]),
    ),
  );
  const named = (list: { source: string; id: string }[]) =>
    new Map(list.map((one) => [`${one.source} ${one.id}`, one]));
  expect(
    named(
      refunds.map((r) => ({
        ...{ id: r.refundId, source: r.source, order: r.orderId, generation: r.generation },
        ...{ amount: n(r.amount), pending: r.pending, reversed: n(r.reversed), debt: n(r.debt) },
      })),
    ),
  ).toEqual(named(oracle.refunds));
}

test(
  `the ledger does what its specification says, whatever is done to it (seed ${seed})`,
  async () => {
    const program = fc.record({
      wanted: world,
      steps: fc.array(step, { minLength: 25, maxLength: 60, size: 'max' }),
    });
    const property = fc.asyncProperty(program, async ({ wanted, steps }) => {
      const world = await aWorld(wanted);
      for (const step of steps) {
        const one = (doing[step.do] ?? others) as (of: {
          world: World;
          step: Step;
        }) => Promise<void>;
        await one({ world, step });
        await expectEqual(world);
      }
      expect(await world.ledger.differences()).toEqual([]);
    });
    await fc.assert(property, { numRuns: rounds(7, 2_000), seed, endOnFailure: true });
  },
  4 * HOUR,
);
