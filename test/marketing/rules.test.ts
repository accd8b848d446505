import fc from 'fast-check';
import { expect, test } from 'vitest';
import { judge } from '../../src/marketing/advisor/answer.ts';
import { isRun, type Limits, termsOf } from '../../src/marketing/advisor/limits.ts';
import { promptOf } from '../../src/marketing/advisor/prompt.ts';
import { applyRules } from '../../src/marketing/advisor/rules.ts';
import type { Facts, PoolFacts, SegmentFacts } from '../../src/marketing/index.ts';
import { problemsOf } from '../support/advice.ts';
import { rounds, seed } from '../support/torture.ts';

const now = new Date('2021-01-01T12:00:00Z');
const usualEnd = new Date('2021-02-01T00:00:00Z');

const segment = (of: Partial<SegmentFacts>): SegmentFacts => ({
  name: 'Everyone',
  members: 0,
  revenue: 0,
  tierId: null,
  recency: null,
  spending: null,
  purchasedWithinDays: null,
  notPurchasedForDays: null,
  minSpent: null,
  maxSpent: null,
  ...of,
});

const pool = (of: Partial<PoolFacts>): PoolFacts => ({
  poolId: '01890000-0000-7000-8000-000000000000',
  name: 'Pool',
  status: 'ACTIVE',
  discountKind: 'PERCENT',
  discountValue: 1_000,
  maxDiscount: null,
  minOrderAmount: 0,
  endsAt: null,
  issued: 0,
  redeemed: 0,
  redemptionRate: 0,
  discountGiven: 0,
  orderRevenue: 0,
  marginImpact: 0,
  share: 0,
  growth: 0,
  quadrant: 'DOG',
  holders: 0,
  redeemers: 0,
  ...of,
});

const facts = (of: Partial<Facts> = {}): Facts => ({
  asOf: now,
  averageOrder: null,
  redeemers: 0,
  cuts: { days: 30, share: 10_000, growth: 1_000 },
  pools: [],
  segments: [segment({})],
  ...of,
});

/** Of facts that know every pool; whether a pool is open is told by the database. */
const limits = (of: Partial<Limits> = {}): Limits => ({
  facts: facts(),
  run: termsOf(of.facts?.pools ?? []),
  now,
  usualEnd,
  maxDiscountRate: 3_000,
  money: { currency: 'EUR', minorDigits: 2 },
  ...of,
});

const AUDIENCES = [
  segment({ members: 60 }),
  segment({ name: 'Gold, lapsed, high spend', members: 20, recency: 'LAPSED', spending: 'HIGH' }),
  segment({ name: 'Gold, active, high spend', members: 9, recency: 'ACTIVE', spending: 'HIGH' }),
  segment({ name: 'Gold, active, low spend', members: 8, recency: 'ACTIVE', spending: 'LOW' }),
  segment({ name: 'Member, never bought', members: 23, recency: 'NEVER' }),
];

test('each kind of audience gets an offer, the most promising first, and everyone the last one', () => {
  const all = limits({ facts: facts({ segments: AUDIENCES, averageOrder: 4_321 }) });
  const told = applyRules(all).map(({ segment: name, draft }) => [
    name,
    draft.discountKind,
    draft.discountValue,
    draft.minOrderAmount,
    draft.suggestedCount,
  ]);
  expect(told).toEqual([
    ['Gold, lapsed, high spend', 'PERCENT', 2_000, 2_100, 20],
    ['Member, never bought', 'PERCENT', 1_500, 0, 23],
    ['Gold, active, low spend', 'AMOUNT', 400, 6_400, 8],
    ['Gold, active, high spend', 'GIFT', 0, 4_300, 9],
    ['Everyone', 'PERCENT', 1_000, 0, 60],
  ]);
  expect(applyRules(all)).toEqual(applyRules(structuredClone(all)));
});

test('an empty program is shown one offer, and with no discount allowed, a gift', () => {
  const offers = (maxDiscountRate: number) =>
    applyRules(limits({ maxDiscountRate })).map(({ draft }) => [
      draft.discountKind,
      draft.discountValue,
      draft.suggestedCount,
    ]);
  expect(offers(3_000)).toEqual([['PERCENT', 1_000, 100]]);
  expect(offers(100)).toEqual([['PERCENT', 100, 100]]);
  expect(offers(1)).toEqual([['PERCENT', 1, 100]]);
  expect(offers(0)).toEqual([['GIFT', 0, 100]]);
});

test('an offer that a pool makes is left out', () => {
  const titles = (pools: PoolFacts[]) =>
    applyRules(limits({ facts: facts({ segments: AUDIENCES, averageOrder: 4_321, pools }) })).map(
      ({ title }) => title,
    );
  const winBack = 'Win back members who stopped buying';
  expect(titles([pool({ discountValue: 2_000, minOrderAmount: 2_000 })])).toContain(winBack);
  expect(titles([pool({ discountValue: 2_000, minOrderAmount: 2_100 })])).not.toContain(winBack);
});

test('the last offer asks for a larger order until no pool makes it', () => {
  const pools = [0, 100, 200].map((minOrderAmount) => pool({ minOrderAmount }));
  const [offer] = applyRules(limits({ facts: facts({ pools }) }));
  expect(offer?.draft).toMatchObject({ discountValue: 1_000, minOrderAmount: 300 });
});

test('the last offer stays within ten average orders: then the rate falls, then it is a gift', () => {
  const last = (pools: PoolFacts[], of: { averageOrder: number; maxDiscountRate?: number }) => {
    const { averageOrder, ...rest } = of;
    const offers = applyRules(limits({ ...rest, facts: facts({ pools, averageOrder }) }));
    const { discountKind, discountValue, minOrderAmount } = offers.at(-1)?.draft ?? {};
    return [discountKind, discountValue, minOrderAmount];
  };
  const upTo = (most: number, of: Partial<PoolFacts> = {}) =>
    Array.from({ length: most / 100 + 1 }, (_, i) => pool({ ...of, minOrderAmount: i * 100 }));
  expect(last(upTo(400), { averageOrder: 50 })).toEqual(['PERCENT', 1_000, 500]);
  expect(last(upTo(500), { averageOrder: 50 })).toEqual(['PERCENT', 950, 0]);
  const hundred = { averageOrder: 10, maxDiscountRate: 300 };
  const run = upTo(100, { discountValue: 100 });
  expect(last(run, hundred)).toEqual(['GIFT', 0, 0]);
  const gifts = upTo(100, { discountKind: 'GIFT', discountValue: 0 });
  expect(last([...run, ...gifts], hundred)).toEqual(['PERCENT', 100, 1]);
  // With an average order of a cent there are eleven gifts, and pools make all of them.
  const cents = Array.from({ length: 11 }, (_, minOrderAmount) =>
    pool({ discountKind: 'GIFT', discountValue: 0, minOrderAmount }),
  );
  expect(last(cents.slice(1), { averageOrder: 1, maxDiscountRate: 0 })).toEqual(['GIFT', 0, 0]);
  expect(last(cents, { averageOrder: 1, maxDiscountRate: 0 })).toEqual(['GIFT', 0, 0]);
});

test('a model is told of each kind of audience, too, however many there are', () => {
  const kinds = ['ACTIVE', 'LAPSING', 'LAPSED'].flatMap((recency) =>
    ['LOW', 'MEDIUM', 'HIGH'].map((spending) => ({ recency, spending })),
  );
  const never = { recency: 'NEVER', spending: null };
  const crowd = [3, 2, 1].flatMap((tier) =>
    [...kinds, never].map((of) => ({
      ...segment(of as Partial<SegmentFacts>),
      name: `${tier} ${of.recency} ${of.spending}`,
      members: 5,
      revenue: of.spending === null ? 0 : tier * 1_000,
    })),
  );
  const segments = [segment({ members: 150 }), ...crowd.sort((a, b) => b.revenue - a.revenue)];
  const [, user] = promptOf(limits({ facts: facts({ segments }) }));
  const told = JSON.parse(user?.content.slice(7, -8) as string).segments;
  const names = told.map(({ name }: { name: string }) => name);
  const first = crowd.filter(({ name }) => name.startsWith('3')).map(({ name }) => name);
  expect(names).toHaveLength(13);
  expect(first).toHaveLength(10);
  expect(names).toEqual(expect.arrayContaining(['Everyone', ...first]));
});

const money = fc.oneof(fc.nat(), fc.maxSafeNat());
const anyFacts = fc.record({
  averageOrder: fc.option(money.map((amount) => amount || 1)),
  segments: fc
    .array(
      fc.record({
        members: fc.oneof(fc.nat({ max: 9 }), fc.nat()),
        revenue: money,
        recency: fc.constantFrom('ACTIVE', 'LAPSING', 'LAPSED', 'NEVER'),
        spending: fc.constantFrom('LOW', 'MEDIUM', 'HIGH'),
      }),
      { maxLength: 8 },
    )
    .map((list) => [
      segment({ members: list.reduce((sum, { members }) => sum + members, 0) }),
      ...list.map((one, i) => segment({ name: `Tier ${i}`, ...(one as Partial<SegmentFacts>) })),
    ]),
  pools: fc.array(
    fc
      .record({
        discountKind: fc.constantFrom('PERCENT', 'AMOUNT', 'GIFT'),
        discountValue: fc.oneof(
          fc.nat({ max: 60 }).map((n) => n * 50),
          money,
        ),
        minOrderAmount: fc.oneof(
          fc.nat({ max: 30 }).map((n) => n * 100),
          money,
        ),
      })
      .map((one) => pool(one as Partial<PoolFacts>)),
    { maxLength: 40 },
  ),
});
const anyLimits = fc
  .record({ of: anyFacts, maxDiscountRate: fc.oneof(fc.nat({ max: 10_000 }), fc.constant(0)) })
  .map(({ of, maxDiscountRate }) => limits({ facts: facts(of), maxDiscountRate }));

test('whatever the facts, the rules propose one to five offers within the limits, none of them run', () => {
  const numRuns = rounds(500, 20_000);
  fc.assert(
    fc.property(anyLimits, (all) => {
      const proposals = applyRules(all);
      expect(problemsOf(proposals, all)).toEqual([]);
      expect(proposals.filter(({ draft }) => isRun(draft, all))).toEqual([]);
    }),
    { numRuns, seed },
  );
});

const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(90_000, -5, 0, 1e300));
const text = fc.oneof(
  fc.constantFrom('A fine offer', '900 % off', '<b>http://evil.example</b>', 'Everyone', 'Tier 0'),
  fc.constantFrom('15 % off', '%90', '٩٠٪', '30.9 %', '90 Prozent', '5 € off', '\u3164', '!!!'),
  fc.string({ unit: 'binary' }),
);
const anySuggestion = fc.record(
  {
    title: text,
    rationale: text,
    segment: fc.constantFrom('Everyone', 'Tier 0', 'Tier 1', 'Nobody'),
    draft: fc.record(
      {
        name: text,
        discountKind: fc.constantFrom('PERCENT', 'AMOUNT', 'GIFT', 'FREE'),
        discountValue: number,
        maxDiscount: fc.option(number),
        minOrderAmount: number,
        endsAt: fc.oneof(
          fc.constantFrom('2021-02-30', '2020-01-01', '2021-03-01T00:00:00Z', '9999-12-31', 'soon'),
          fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
          text,
        ),
        perMemberLimit: number,
        suggestedCount: number,
      },
      { requiredKeys: ['name', 'discountKind', 'discountValue'] },
    ),
  },
  { requiredKeys: ['title', 'rationale', 'segment', 'draft'] },
);

test('whatever a model answers, it is of no use, or offers within the limits, none of them run', () => {
  let used = 0;
  const answer = fc.array(fc.oneof({ weight: 9, arbitrary: anySuggestion }, fc.anything()));
  fc.assert(
    fc.property(anyLimits, answer, (all, suggestions) => {
      const judged = judge(JSON.stringify({ suggestions }), all);
      if (!judged) return;
      used++;
      expect(problemsOf(judged.proposals, all)).toEqual([]);
      expect(judged.proposals.filter(({ draft }) => isRun(draft, all))).toEqual([]);
    }),
    { numRuns: rounds(1_000, 50_000), seed },
  );
  expect(used).toBeGreaterThan(100);
});

test.each(['', 'null', '[]', '{', '{"suggestions": 1}', '{"suggestions": []}', '}{', '"{}"'])(
  '%j is no answer',
  (content) => {
    expect(judge(content, limits())).toBeUndefined();
  },
);
