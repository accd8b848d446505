import { expect, test } from 'vitest';
import { pointsLiability } from '../../src/loyalty/index.ts';
import { testDeps } from '../support/database.ts';
import { DAY, type Ledger, NOON, openLedger } from '../support/ledger.ts';
import { mistake } from '../support/unchanged.ts';

const deps = await testDeps();
const day = (days: number) => new Date(NOON.getTime() + days * DAY);
const liability = async (ledger: Ledger, of: { from?: Date; asOf?: Date } = {}) => {
  const said = await pointsLiability(deps, { programId: ledger.programId, ...of });
  const { opening, awarded, spent, expired, reversed, refunded, closing } = said;
  const numbers = { opening, awarded, spent, expired, reversed, refunded, closing };
  return Object.fromEntries(Object.entries(numbers).map(([name, n]) => [name, Number(n)]));
};

/** Two members; the lots of day 0 expire on 2 February, those of day 20 on 22 February. */
async function aWinter({ swept }: { swept: boolean }) {
  const ledger = await openLedger(deps, { settings: { expiryMonths: 1, pointValue: '0.5' } });
  const clock = (to: Date) => (swept ? ledger.advance(to) : ledger.tick(to));
  const [ann, bob] = [await ledger.member(), await ledger.member()];
  await ledger.lot(ann, 100, { orderId: 'o-1' });
  await ledger.lot(bob, 50);
  await clock(day(5));
  const spend = await ledger.spent(ann, 60);
  await clock(day(20));
  await ledger.lot(ann, 30);
  await ledger.refund(spend, 10);
  await clock(day(25));
  await ledger.reverse('o-1', 20);
  await clock(day(40));
  await ledger.refund(spend, 5);
  await ledger.lot(bob, 9);
  await clock(day(45));
  return ledger;
}

test.each([true, false])('the roll-forward ties out over any span (swept: %s)', async (swept) => {
  const ledger = await aWinter({ swept });
  expect(await liability(ledger)).toEqual({
    opening: 0,
    awarded: 189,
    spent: 60,
    // 30 of the first lot, the 50 of Bob's, and what came back into a lot that was gone.
    expired: 85,
    reversed: 20,
    refunded: 15,
    closing: 39,
  });
  expect(await liability(ledger, { from: day(10), asOf: day(30) })).toEqual({
    opening: 90,
    awarded: 30,
    spent: 0,
    expired: 0,
    reversed: 20,
    refunded: 10,
    closing: 110,
  });
  expect(await liability(ledger, { from: day(30), asOf: day(45) })).toEqual({
    opening: 110,
    awarded: 9,
    spent: 0,
    expired: 85,
    reversed: 0,
    refunded: 5,
    closing: 39,
  });
  // Lots that will have expired by then count as expired.
  expect(await liability(ledger, { from: day(45), asOf: day(60) })).toMatchObject({
    opening: 39,
    expired: 30,
    closing: 9,
  });
});

test('a lot counts as expired from its very instant on', async () => {
  const ledger = await aWinter({ swept: false });
  const midnight = new Date('2021-02-02T00:00:00Z');
  const before = new Date(midnight.getTime() - 1);
  expect(await liability(ledger, { asOf: before })).toMatchObject({ expired: 0, closing: 110 });
  expect(await liability(ledger, { asOf: midnight })).toMatchObject({ expired: 80, closing: 30 });
});

test('one span follows the other: each opens with what the one before closed with', async () => {
  const ledger = await aWinter({ swept: false });
  const sums: Record<string, number> = {};
  let closing = 0;
  for (let from = -1; from < 45; from += 1) {
    const span = await liability(ledger, { from: day(from), asOf: day(from + 1) });
    expect(span.opening).toBe(closing);
    closing = span.closing as number;
    for (const [name, points] of Object.entries(span)) sums[name] = (sums[name] ?? 0) + points;
  }
  const { awarded, spent, expired, reversed, refunded } = await liability(ledger);
  expect(sums).toMatchObject({ awarded, spent, expired, reversed, refunded });
});

test('what is outstanding is told by the month in which it expires, and valued half up', async () => {
  const ledger = await openLedger(deps, {
    timeZone: 'Pacific/Auckland',
    settings: { pointValue: '0.5', expiryMonths: null },
  });
  const member = await ledger.member();
  await ledger.grant(member, 10, { expiresAt: new Date('2021-02-28T10:59:59Z') });
  await ledger.grant(member, 20, { expiresAt: new Date('2021-02-28T11:00:00Z') });
  await ledger.grant(member, 30, { expiresAt: new Date('2021-03-05T00:00:00Z') });
  await ledger.grant(member, 1);
  const { byExpiryMonth, value, closing } = await pointsLiability(deps, {
    programId: ledger.programId,
  });
  expect([closing, value]).toEqual([61n, 31n]);
  expect(byExpiryMonth).toEqual([
    { month: '2021-02', points: 10n },
    { month: '2021-03', points: 50n },
    { month: null, points: 1n },
  ]);
});

test('its parts are of one moment, whatever commits meanwhile', async () => {
  const ledger = await openLedger(deps);
  const { programId } = ledger;
  const members = await Promise.all(Array.from({ length: 40 }, () => ledger.member()));
  const awards = members.map((member) => ledger.lot(member, 10));
  const reads = members.map(() => pointsLiability(deps, { programId }));
  for (const { opening, awarded, closing, expired, byExpiryMonth } of await Promise.all(reads)) {
    const outstanding = byExpiryMonth.reduce((sum, { points }) => sum + points, 0n);
    expect([opening, expired, outstanding, awarded]).toEqual([0n, 0n, closing, closing]);
  }
  await Promise.all(awards);
});

test('nothing is nothing, and a span must not end before it begins', async () => {
  const ledger = await openLedger(deps);
  expect(await liability(ledger)).toMatchObject({ opening: 0, expired: 0, closing: 0 });
  const error = await mistake(deps.db, () => liability(ledger, { from: day(1), asOf: day(0) }));
  expect([error.code, error.field]).toEqual(['BAD_USER_INPUT', 'from']);
});
