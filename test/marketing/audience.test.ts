import { expect, test } from 'vitest';
import type { MemberId } from '../../src/kernel/ids.ts';
import type { AudienceInput } from '../../src/marketing/index.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { DAY, NOON, openLedger } from '../support/ledger.ts';
import { openMailing } from '../support/mailing.ts';
import { openShop } from '../support/shop.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const ledger = await openLedger(deps);
const { programId } = ledger;
const mailing = await openMailing(deps, await openShop(deps, { programId }));

/** Days before today on which the member bought, and for how much. */
type Bought = readonly (readonly [daysAgo: number, amount: number])[];
const BUYERS: Record<string, { rank?: number; bought: Bought; refunded?: number }> = {
  never: { bought: [] },
  today: { bought: [[0, 500]] },
  week: { bought: [[7, 1_000]] },
  month: { rank: 2, bought: [[30, 2_000]] },
  often: {
    rank: 3,
    bought: [
      [40, 3_000],
      [7, 3_000],
    ],
  },
  refunded: { bought: [[7, 1_000]], refunded: 1_000 },
  partly: { rank: 2, bought: [[30, 5_000]], refunded: 3_000 },
};

const members = new Map<string, MemberId>();
for (const [name, { rank = 1, bought, refunded }] of Object.entries(BUYERS)) {
  const id = await ledger.member(rank);
  members.set(name, id);
  for (const [daysAgo, amount] of bought) {
    const orderId = unique('order');
    const occurredAt = new Date(NOON.getTime() - daysAgo * DAY);
    await ledger.lot(id, amount, { orderId, occurredAt });
    if (refunded) await ledger.reverse(orderId, refunded);
  }
}
const nameOf = new Map([...members].map(([name, id]) => [id as string, name]));
const tiers = await deps.db.tier.findMany({ where: { programId }, orderBy: { rank: 'asc' } });
const tierIds = (...ranks: number[]) => ranks.map((rank) => tiers[rank - 1]?.id as string);

async function audienceOf(audience: Partial<AudienceInput>): Promise<string[]> {
  const { id } = await mailing.create((await mailing.draft(0)).id);
  const { recipients } = await mailing.addAudience(id, audience);
  const rows = await mailing.recipients(id);
  expect(rows).toHaveLength(recipients);
  return rows.map(({ memberId }) => nameOf.get(memberId as string) ?? 'somebody else').sort();
}

const everybody = Object.keys(BUYERS).sort();
const except = (...names: string[]) => everybody.filter((name) => !names.includes(name));

test.each<[string, Partial<AudienceInput>, string[]]>([
  ['nothing', {}, everybody],
  ['one tier', { tierIds: tierIds(2) }, ['month', 'partly']],
  ['two tiers', { tierIds: tierIds(2, 3) }, ['month', 'often', 'partly']],
  ['a purchase today', { purchasedWithinDays: 1 }, ['today']],
  ['a purchase within 7 days', { purchasedWithinDays: 7 }, ['today']],
  ['a purchase within 8', { purchasedWithinDays: 8 }, ['often', 'refunded', 'today', 'week']],
  ['a purchase within 31', { purchasedWithinDays: 31 }, except('never')],
  ['none for 7 days', { notPurchasedForDays: 7 }, except('today')],
  ['none for 8 days', { notPurchasedForDays: 8 }, ['month', 'never', 'partly']],
  ['none for 31 days', { notPurchasedForDays: 31 }, ['never']],
  [
    'within 31, none for 8',
    { purchasedWithinDays: 31, notPurchasedForDays: 8 },
    ['month', 'partly'],
  ],
  ['nothing spent, net of refunds', { maxSpent: 0 }, ['never', 'refunded']],
  ['something spent', { minSpent: 1 }, except('never', 'refunded')],
  ['exactly 2,000 spent', { minSpent: 2_000, maxSpent: 2_000 }, ['month', 'partly']],
  ['more than 2,000 spent', { minSpent: 2_001 }, ['often']],
  ['bought once, and lapsed', { minSpent: 1, notPurchasedForDays: 30 }, ['month', 'partly']],
  ['a tier and a sum', { tierIds: tierIds(1), minSpent: 1_000 }, ['week']],
])('who is asked for %s', async (_, audience, names) => {
  expect(await audienceOf(audience)).toEqual(names);
});

test('who has a code of the pool is left out, whatever became of it, unless it is said otherwise', async () => {
  const pool = await mailing.pool(5);
  for (const name of ['today', 'week'])
    await mailing.claimed(pool.id, { memberId: members.get(name) as string });
  const namesOf = async (id: string) =>
    (await mailing.recipients(id)).map(({ memberId }) => nameOf.get(memberId as string)).sort();
  const without = await mailing.create(pool.id);
  await mailing.addAudience(without.id);
  expect(await namesOf(without.id)).toEqual(except('today', 'week'));
  const all = await mailing.create(pool.id);
  await mailing.addAudience(all.id, { withoutCodeOfPool: false });
  expect(await namesOf(all.id)).toEqual(everybody);
});

test('an audience is added once, and beside those who are named already', async () => {
  const { id } = await mailing.create((await mailing.draft(0)).id, [
    { memberId: members.get('week') },
    { email: 'somebody@example.com' },
  ]);
  expect(await mailing.addAudience(id)).toMatchObject({ recipients: everybody.length + 1 });
  const again = () => mailing.addAudience(id);
  expect(await unchanged(deps.db, again)).toMatchObject({ recipients: everybody.length + 1 });
});

test.each<[string, Partial<AudienceInput>, string, string]>([
  ['no tier at all', { tierIds: [] }, 'BAD_USER_INPUT', 'audience.tierIds'],
  ['an unknown tier', { tierIds: [programId] }, 'NOT_FOUND', 'audience.tierIds.0'],
  ['0 days', { purchasedWithinDays: 0 }, 'BAD_USER_INPUT', 'audience.purchasedWithinDays'],
  ['half a day', { notPurchasedForDays: 0.5 }, 'BAD_USER_INPUT', 'audience.notPurchasedForDays'],
  ['less than nothing', { minSpent: -1 }, 'BAD_USER_INPUT', 'audience.minSpent'],
  ['no range', { minSpent: 2, maxSpent: 1 }, 'BAD_USER_INPUT', 'audience.maxSpent'],
])('an audience with %s is refused, and adds nobody', async (_, audience, code, field) => {
  const { id } = await mailing.create((await mailing.draft(0)).id);
  const error = await mistake(deps.db, () => mailing.addAudience(id, audience));
  expect(error).toMatchObject({ code, field });
});
