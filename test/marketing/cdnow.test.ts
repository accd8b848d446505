/**
 * The advisor on the customers of a real shop: a quarter of them, or all in the full form. What the
 * rules say is kept in files that people have read; the facts are computed a second time.
 */
import pg from 'pg';
import { beforeAll, expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import type { CampaignId, ProgramId } from '../../src/kernel/ids.ts';
import {
  type AudienceInput,
  addAudience,
  couponAdvisor,
  createCampaign,
  type Report,
} from '../../src/marketing/index.ts';
import { problemsOf } from '../support/advice.ts';
import { loadCdnow } from '../support/cdnow.ts';
import { testDeps } from '../support/database.ts';
import { START } from '../support/shop.ts';
import { torture } from '../support/torture.ts';

const TODAY = new Date('2022-06-30T16:00:00Z');
let deps: Deps;
let programId: ProgramId;
let report: Report;
let databaseUrl: string;

beforeAll(async () => {
  deps = await testDeps({ clock: { now: () => START }, config: { advisorPatienceMs: 60_000 } });
  programId = await loadCdnow(deps, { everyNth: torture ? 1 : 4 });
  report = await couponAdvisor(deps, { programId });
  ({ databaseUrl } = deps.config);
}, 120_000);

/** Asked without the engine. */
async function rows<Row>(sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query(sql, [programId])).rows;
  } finally {
    await client.end();
  }
}

test('the suggestions of the rules are those that were reviewed, and within the limits', async () => {
  const within = { facts: report.facts, now: TODAY, maxDiscountRate: 3_000 };
  expect(problemsOf(report.suggestions, within)).toEqual([]);
  const form = torture ? 'full' : 'quarter';
  await expect(readable(report)).toMatchFileSnapshot(`snapshots/cdnow-${form}.txt`);
});

/** For people who review it: everything but the ids, which are different each time. */
function readable({ source, reason, facts, suggestions }: Report): string {
  const line = (of: object) =>
    Object.entries(of)
      .filter(([name, value]) => !/id$/i.test(name) && value !== null)
      .map(([name, value]) => `${name}: ${value instanceof Date ? value.toISOString() : value}`)
      .join(' | ');
  const { pools, segments, cuts, redeemers: _, ...others } = facts;
  return [
    `${source}: ${reason}`,
    line(others),
    `cuts: ${line(cuts)}`,
    '',
    ...pools.map(({ holders: _, redeemers: __, ...told }) => line(told)),
    '',
    ...segments.map(line),
    ...suggestions.flatMap(({ draft, ...words }) => [
      '',
      ...Object.entries(words)
        .filter(([name]) => name !== 'id')
        .map(([name, text]) => `${name}: ${text}`),
      line(draft),
    ]),
    '',
  ].join('\n');
}

test('the facts of each pool are what plain SQL makes of each of its codes', async () => {
  const days = (from: number, to: number) =>
    `(r.redeemed_at AT TIME ZONE 'America/New_York')::date
       BETWEEN date '2022-06-30' - ${from} AND date '2022-06-30' - ${to}`;
  const numbers = await rows<Record<string, number>>(`
    SELECT p.id AS pool_id, p.created_at >= '2022-06-01T04:00:00Z' AS is_new,
      (SELECT count(*)::int FROM codes c WHERE c.pool_id = p.id AND c.allocated_at IS NOT NULL)
        AS issued,
      count(r.id)::int AS redeemed,
      coalesce(sum(r.discount_amount), 0)::int AS discounts,
      coalesce(sum(r.order_amount), 0)::int AS revenue,
      count(r.id) FILTER (WHERE ${days(29, 0)})::int AS recent,
      count(r.id) FILTER (WHERE ${days(59, 30)})::int AS previous
    FROM pools p
    LEFT JOIN redemptions r ON r.voided_at IS NULL
      AND (SELECT c.pool_id FROM codes c WHERE c.program_id = $1 AND c.id = r.code_id) = p.id
    WHERE p.program_id = $1 GROUP BY p.id, p.created_at ORDER BY redeemed DESC`);
  const all = numbers.reduce((sum, { recent = 0 }) => sum + recent, 0);
  const inPlay = numbers.filter(({ recent = 0, previous = 0 }) => recent + previous > 0).length;
  const rate = (part: number, whole: number) =>
    whole === 0 ? 0 : Math.floor((part * 10_000) / whole);
  const expected = numbers.map((of) => {
    const { issued = 0, redeemed = 0, discounts = 0, revenue = 0, recent = 0, previous = 0 } = of;
    const share = rate(recent, all);
    const growth = Math.trunc(((recent - previous) * 10_000) / Math.max(previous, 1));
    const isLarge = share >= Math.floor(10_000 / inPlay);
    const grows = Boolean(of.is_new) || growth >= 1_000;
    return {
      poolId: String(of.pool_id),
      issued,
      redeemed,
      redemptionRate: rate(redeemed, issued),
      discountGiven: discounts,
      orderRevenue: revenue,
      marginImpact: rate(discounts, revenue),
      share,
      growth,
      quadrant: isLarge ? (grows ? 'STAR' : 'CASH_COW') : grows ? 'QUESTION_MARK' : 'DOG',
    };
  });
  const facts = report.facts.pools.map(
    ({ name, status, discountKind, discountValue, maxDiscount, minOrderAmount, endsAt, ...rest }) =>
      rest,
  );
  expect(facts).toEqual(
    expected.map((of) => ({ ...of, holders: expect.any(Number), redeemers: expect.any(Number) })),
  );
  // Each of them has one code of a pool.
  for (const { issued, holders, redeemed, redeemers } of facts) {
    expect(holders).toBeLessThanOrEqual(issued);
    expect(redeemers).toBeLessThanOrEqual(redeemed);
  }
  expect(new Set(facts.map(({ quadrant }) => quadrant)).size).toBeGreaterThanOrEqual(3);
});

type Customer = { id: string; tier: string; spent: number; latest: string };

/** Of each member what the purchases say. */
async function customers(): Promise<{ members: Customer[]; purchases: number }> {
  const lots = await rows<{ id: string; tier: string; amount: number; day: string }>(`
    SELECT m.id, t.name AS tier, l.amount::int, l.day::text FROM members m
    JOIN tiers t ON t.program_id = m.program_id AND t.id = m.tier_id
    JOIN ledger_batches l ON l.program_id = m.program_id AND l.member_id = m.id
    WHERE m.program_id = $1`);
  const members = new Map<string, Customer>();
  for (const { id, tier, amount, day } of lots) {
    const known = members.get(id) ?? { id, tier, spent: 0, latest: day };
    const latest = day > known.latest ? day : known.latest;
    members.set(id, { id, tier, spent: known.spent + amount, latest });
  }
  return { members: [...members.values()], purchases: lots.length };
}

const ago = (day: string) => (Date.parse('2022-06-30') - Date.parse(day)) / 86_400_000;
const sumOf = (members: Customer[]) => members.reduce((sum, { spent }) => sum + spent, 0);

/** The name of the segment that each belongs to. */
function segmentNames({ members, purchases }: { members: Customer[]; purchases: number }) {
  const average = Math.floor(sumOf(members) / purchases);
  return members.map(({ tier, spent, latest }) => {
    const recency = ago(latest) < 90 ? 'active' : ago(latest) < 180 ? 'lapsing' : 'lapsed';
    const size = spent < 2 * average ? 'low' : spent < 5 * average ? 'medium' : 'high';
    return spent === 0 ? `${tier}, never bought` : `${tier}, ${recency}, ${size} spend`;
  });
}

test('the segments are what one gets by looking at each member’s purchases', async () => {
  const all = await customers();
  const names = segmentNames(all);
  const segments = new Map<string, { members: number; revenue: number }>();
  for (const [i, name] of names.entries()) {
    const known = segments.get(name) ?? { members: 0, revenue: 0 };
    const revenue = known.revenue + (all.members[i]?.spent as number);
    segments.set(name, { members: known.members + 1, revenue });
  }
  segments.set('Everyone', { members: all.members.length, revenue: sumOf(all.members) });
  const told = report.facts.segments.map(({ name, members: count, revenue }) => [
    name,
    { members: count, revenue },
  ]);
  expect(Object.fromEntries(told)).toEqual(Object.fromEntries(segments));
  const revenues = report.facts.segments.slice(1).map(({ revenue }) => revenue);
  expect(revenues).toEqual(revenues.toSorted((a, b) => b - a));
});

/** The members whom a campaign names once an audience was added. */
async function audienceOf(audience: Partial<AudienceInput>): Promise<string[]> {
  const poolId = report.facts.pools[0]?.poolId as string;
  const input = { name: 'Customers', poolId, recipients: [] };
  const { id } = await createCampaign(deps, { programId, input });
  await addAudience(deps, {
    ...{ programId, campaignId: id as CampaignId, isGone: () => false },
    audience: { withoutCodeOfPool: false, ...audience },
  });
  const named = await deps.db.campaignRecipient.findMany({ where: { programId, campaignId: id } });
  return named.map(({ memberId }) => memberId as string).sort();
}

test.each<[Partial<AudienceInput>, (of: Customer) => boolean]>([
  [{ purchasedWithinDays: 30 }, ({ latest }) => ago(latest) < 30],
  [{ notPurchasedForDays: 200, minSpent: 5_000 }, (of) => ago(of.latest) >= 200 && of.spent >= 5e3],
  [{ minSpent: 2_500, maxSpent: 10_000 }, ({ spent }) => spent >= 2_500 && spent <= 10_000],
])('the audience %o is whose purchases say so', async (audience, belongs) => {
  const expected = (await customers()).members.filter(belongs).map(({ id }) => id);
  expect(expected.length).toBeGreaterThan(10);
  expect(await audienceOf(audience)).toEqual(expected.sort());
});

test('an audience of a tier is who stands on it', async () => {
  const tiers = await deps.db.tier.findMany({ where: { programId } });
  for (const { id, name } of tiers) {
    const { members } = await customers();
    const expected = members.filter(({ tier }) => tier === name).map((member) => member.id);
    expect(await audienceOf({ tierIds: [id] })).toEqual(expected.sort());
  }
});

test('the bounds of a segment, as an audience, name exactly its members', async () => {
  const all = await customers();
  const names = segmentNames(all);
  for (const segment of report.facts.segments.slice(0, torture ? 31 : 8)) {
    const { name, tierId, purchasedWithinDays, notPurchasedForDays, minSpent, maxSpent } = segment;
    const bounds = { purchasedWithinDays, notPurchasedForDays, minSpent, maxSpent };
    const expected = all.members.filter((_, i) => name === 'Everyone' || names[i] === name);
    const named = await audienceOf({ ...bounds, tierIds: tierId ? [tierId] : null });
    expect(named, name).toEqual(expected.map(({ id }) => id).sort());
  }
});

test('the average order is the smaller of the average purchase and the average order with a code', async () => {
  const [averages] = await rows<{ bought: number; redeemed: number }>(`
    SELECT (SELECT floor(avg(amount))::int FROM ledger_batches WHERE program_id = $1) AS bought,
      (SELECT floor(avg(order_amount))::int FROM redemptions WHERE program_id = $1) AS redeemed`);
  const { bought = 0, redeemed = 0 } = averages ?? {};
  expect(bought).toBeGreaterThan(1_000);
  expect(report.facts.averageOrder).toBe(Math.min(bought, redeemed));
});
