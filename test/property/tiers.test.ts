import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bySql } from '../../examples/demo/sql.ts';
import { readStates, stateOf } from '../../examples/demo/states.ts';
import type { MemberId } from '../../src/kernel/ids.ts';
import { earned12Months } from '../../src/loyalty/index.ts';
import { upsertMember } from '../../src/members/index.ts';
import { setTiers } from '../../src/programs/index.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { DAY, HOUR, type Ledger, openLedger } from '../support/ledger.ts';
import { localDays } from '../support/local-days.ts';
import { type Rung, TiersOracle, type TierTerms } from '../support/tiers-oracle.ts';
import { rounds, seed } from '../support/torture.ts';

const deps = await testDeps();

const LADDERS: Rung[][] = [
  [0, 100, 300, 1_000].map((qualify, rank) => rung(qualify, qualify * 0.8, rank)),
  [0, 150, 200, 400].map((qualify, rank) => rung(qualify, qualify, rank)),
  [0, 50, 60, 5_000].map((qualify, rank) => rung(qualify, 0, rank)),
];

function rung(qualify: number, maintain: number, rank: number): Rung {
  return { qualify, maintain, multiplier: 10_000 + 2_500 * rank };
}

const inWords = (ladder: readonly Rung[]) =>
  ladder.map(({ qualify, maintain, multiplier }, index) => ({
    ...{ name: `Rank ${index + 1}`, multiplier },
    ...{ qualifyPoints: qualify, maintainPoints: maintain },
  }));

const member = fc.constantFrom(0, 0, 1, 2);
const some = <Name extends string, T extends object>(
  name: Name,
  fields: { [K in keyof T]: fc.Arbitrary<T[K]> },
) => fc.record({ ...fields, do: fc.constant(name) }) as unknown as fc.Arbitrary<T & { do: Name }>;
const amount = fc.constantFrom(0, 49, 60, 99, 100, 101, 240, 1_000);
const step = fc.oneof(
  { weight: 6, arbitrary: some('buy', { member, amount, back: fc.constantFrom(0, 0, 0, 9, 59) }) },
  { weight: 1, arbitrary: some('early', { member, amount, refunded: fc.constantFrom(1, 1_000) }) },
  { weight: 2, arbitrary: some('refund', { member, nth: fc.nat(20), half: fc.boolean() }) },
  { weight: 2, arbitrary: some('spend', { member }) },
  { weight: 1, arbitrary: some('grant', { member }) },
  { weight: 4, arbitrary: some('live', { days: fc.constantFrom(1, 2, 15, 31, 90, 290) }) },
  { weight: 1, arbitrary: some('ladder', { nth: fc.nat(LADDERS.length - 1) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const world = fc.record({
  timeZone: fc.constantFrom('UTC', 'America/New_York', 'Pacific/Kiritimati', 'Pacific/Pago_Pago'),
  start: fc.constantFrom('2020-02-29', '2021-02-27', '2023-03-01', '2023-12-30'),
  graceDays: fc.constantFrom(0, 1, 14, 30),
  warningDays: fc.constantFrom([], [14, 3], [30, 1]),
  reupgradeBonus: fc.constantFrom(0, 25),
  reupgradeWindowMonths: fc.constantFrom(0, 1, 12),
  birthdayBonus: fc.constantFrom(0, 10),
  reengagementBonus: fc.constantFrom(0, 5),
  inactiveDays: fc.constantFrom(1, 30, 90),
});
type Wanted = typeof world extends fc.Arbitrary<infer T> ? T : never;

const BIRTHDAYS = ['2000-02-29', '1990-04-01', null];

type World = { ledger: Ledger; people: { id: MemberId; oracle: TiersOracle }[] };

async function aWorld({ timeZone, start, ...terms }: Wanted): Promise<World & { names: string[] }> {
  const days = localDays(timeZone);
  const now = days.startOf(start) + 12 * HOUR;
  const { warningDays, ...common } = terms;
  const [ladder] = LADDERS as [Rung[]];
  const ledger = await openLedger(deps, {
    ...{ timeZone, clock: new Date(now), tiers: inWords(ladder) },
    settings: { ...common, graceWarningDays: warningDays, dailyCap: 500, expiryMonths: 3 },
  });
  const names = BIRTHDAYS.map(() => unique('person'));
  const people = BIRTHDAYS.map(async (birthday, index) => {
    const externalId = names[index] as string;
    const { programId } = ledger;
    const { id } = await upsertMember(deps, { programId, input: { externalId, birthday } });
    const oracle = new TiersOracle({
      ...{ now, days, holders: [{ id: externalId, multiplier: 10_000, debt: 0 }] },
      terms: {
        ...{ minAmount: 0, rate: 100_000_000, digits: 2, cap: 500, expiryMonths: 3 },
        ...{ maturityDays: 0, backdateDays: 60, earliestExpiry: false },
      },
      tiers: { ...terms, ladder } satisfies TierTerms,
    });
    oracle.standing(externalId).birthday = birthday;
    return { id: id as MemberId, oracle };
  });
  return { ledger, people: await Promise.all(people), names };
}

type Doing<Name> = { world: World; step: Extract<Step, { do: Name }> };
const nameOf = (oracle: TiersOracle) => (oracle.holders[0] as { id: string }).id;

async function buy({ world, step }: Doing<'buy'>) {
  const { id, oracle } = world.people[step.member] as World['people'][number];
  const at = oracle.now - step.back * DAY;
  const order = unique('order');
  const { amount } = step;
  await world.ledger.award(id, order, { amount, occurredAt: new Date(at) });
  oracle.award({ member: nameOf(oracle), source: 'SHOPIFY', order, generation: 1, amount, at });
}

/** The refund arrives before its purchase. */
async function early({ world, step }: Doing<'early'>) {
  const { id, oracle } = world.people[step.member] as World['people'][number];
  const order = unique('order');
  const refundId = unique('refund');
  const { amount, refunded } = step;
  const named = { source: 'SHOPIFY', order, generation: 1 };
  await world.ledger.reverse(order, refunded, { refundId });
  await world.ledger.award(id, order, { amount });
  oracle.reverse({ ...named, id: refundId, amount: refunded });
  oracle.award({ ...named, member: nameOf(oracle), amount });
}

async function refund({ world, step }: Doing<'refund'>) {
  const { oracle } = world.people[step.member] as World['people'][number];
  const bought = oracle.lots.filter((lot) => lot.order && (lot.amount ?? 0) > lot.refunded);
  const lot = bought[step.nth % Math.max(1, bought.length)];
  if (!lot) return;
  const rest = (lot.amount as number) - lot.refunded;
  const amount = step.half ? Math.ceil(rest / 2) : rest;
  const order = lot.order as string;
  const refundId = unique('refund');
  await world.ledger.reverse(order, amount, { refundId });
  oracle.reverse({ source: 'SHOPIFY', order, generation: 1, id: refundId, amount });
}

async function points({ world, step }: Doing<'spend'> | Doing<'grant'>) {
  const { id, oracle } = world.people[step.member] as World['people'][number];
  const key = unique(step.do);
  const name = nameOf(oracle);
  if (step.do === 'grant') {
    await world.ledger.grant(id, 70, { key });
    oracle.grant({ member: name, points: 70, key });
    return;
  }
  const half = Math.ceil(oracle.balance(name) / 2);
  if (half === 0) return;
  await world.ledger.spend(id, half, key);
  oracle.spend({ member: name, points: half, key });
}

async function time({ world, step }: Doing<'live'> | Doing<'ladder'>) {
  const oracles = world.people.map(({ oracle }) => oracle);
  if (step.do === 'ladder') {
    const ladder = LADDERS[step.nth] as Rung[];
    await setTiers(deps, { programId: world.ledger.programId, tiers: inWords(ladder) });
    for (const oracle of oracles) oracle.setTiers(ladder);
    return;
  }
  const to = (oracles[0] as TiersOracle).now + step.days * DAY;
  await world.ledger.advance(new Date(to));
  for (const oracle of oracles) oracle.advance(to);
}

const doing: { [Name in Step['do']]: (of: Doing<Name>) => Promise<void> } = {
  ...{ buy, early, refund },
  ...{ spend: points, grant: points, live: time, ladder: time },
};

async function expectEqual({ ledger, people }: World) {
  const { programId } = ledger;
  const states = await bySql(deps.config.databaseUrl, (client) => readStates(client, programId));
  expect(Object.fromEntries(states)).toEqual(
    Object.fromEntries(people.map(({ oracle }) => [nameOf(oracle), stateOf(oracle)])),
  );
  const ids = people.map(({ id }) => id);
  expect((await earned12Months(deps, { programId, ids })).map(Number)).toEqual(
    people.map(({ oracle }) => oracle.metric(nameOf(oracle))),
  );
}

test(
  `ranks, graces, warnings and bonuses are what the specification says (seed ${seed})`,
  async () => {
    const program = fc.record({
      wanted: world,
      steps: fc.array(step, { minLength: 15, maxLength: 40, size: 'max' }),
    });
    const property = fc.asyncProperty(program, async ({ wanted, steps }) => {
      const world = await aWorld(wanted);
      for (const one of steps) {
        const work = doing[one.do] as (of: { world: World; step: Step }) => Promise<void>;
        await work({ world, step: one });
        await expectEqual(world);
      }
      expect(await world.ledger.differences()).toEqual([]);
    });
    await fc.assert(property, { numRuns: rounds(2, 300), seed, endOnFailure: true });
  },
  4 * HOUR,
);
