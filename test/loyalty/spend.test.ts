import { describe, expect, test } from 'vitest';
import type { MemberId, SpendId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { DAY, NOON, openLedger } from '../support/ledger.ts';
import { mistake, refusal, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const shop = await openLedger(deps);
const later = (days: number) => new Date(NOON.getTime() + days * DAY);
const drawsOf = async (spendId: string) =>
  (await shop.draws(spendId)).map(({ batchId, points, refunded }) => [batchId, points, refunded]);

describe('a spend', () => {
  test('draws the oldest points first, and says from which lots', async () => {
    const member = await shop.member();
    const young = await shop.lot(member, 100);
    const old = await shop.lot(member, 30, { occurredAt: later(-3) });
    const oldest = await shop.lot(member, 20, { occurredAt: later(-9) });
    const id = await shop.spent(member, 60);
    expect(await drawsOf(id)).toEqual([
      [oldest.id, 20n, 0n],
      [old.id, 30n, 0n],
      [young.id, 10n, 0n],
    ]);
    expect(await shop.points(member)).toEqual([90, 0, 0, 90]);
    expect(await shop.journal(member)).toContain('SPEND -60 = 90');
    expect(await shop.differences()).toEqual([]);
  });

  test('draws lots of one instant in the order in which they came in', async () => {
    const member = await shop.member();
    const [first, second] = [await shop.lot(member, 5), await shop.lot(member, 5)];
    const id = await shop.spent(member, 6);
    expect(await drawsOf(id)).toEqual([
      [first.id, 5n, 0n],
      [second.id, 1n, 0n],
    ]);
  });

  test('draws what expires first where the program says so, and what never expires last', async () => {
    const own = await openLedger(deps, {
      settings: { spendOrder: 'EARLIEST_EXPIRY', expiryMonths: null },
    });
    const member = await own.member();
    const never = await own.lot(member, 10, { occurredAt: later(-9) });
    const late = await own.grant(member, 10, { expiresAt: later(90) });
    const soon = await own.grant(member, 10, { expiresAt: later(9) });
    const draws = await own.draws(await own.spent(member, 25));
    expect(draws.map((draw) => draw.batchId)).toEqual([soon.id, late.id, never.id]);
  });

  test('takes all there is, to the point', async () => {
    const member = await shop.member();
    await shop.lot(member, 100);
    await shop.spent(member, 100);
    expect(await shop.points(member)).toEqual([0, 0, 0, 0]);
  });

  test('of one point more than there is is refused, and nothing changes', async () => {
    const member = await shop.member();
    await shop.lot(member, 100);
    expect(await refusal(deps.db, () => shop.spend(member, 101) as never)).toBe(
      'INSUFFICIENT_POINTS',
    );
  });

  test('that was refused has not used up its key', async () => {
    const member = await shop.member();
    await refusal(deps.db, () => shop.spend(member, 10, 'poor') as never);
    await shop.lot(member, 10);
    expect(await shop.spend(member, 10, 'poor')).toMatchObject({ ok: true, alreadySpent: false });
  });

  test('cannot use what has expired, swept or not, from that instant on', async () => {
    const own = await openLedger(deps, { settings: { expiryMonths: 1 } });
    const member = await own.member();
    await own.lot(member, 100);
    await own.tick(new Date('2021-02-01T23:59:59.999Z'));
    await own.spent(member, 1);
    await own.tick(new Date('2021-02-02T00:00:00Z'));
    expect(await refusal(deps.db, () => own.spend(member, 1) as never)).toBe('INSUFFICIENT_POINTS');
    expect(await own.points(member)).toEqual([0, 0, 0, 99]);
    await own.sweep();
    expect(await own.journal(member)).toEqual([
      'AWARD 100 = 100',
      'SPEND -1 = 99',
      'EXPIRE -99 = 0',
    ]);
  });

  test('cannot use what is pending, and can from the instant of maturing on', async () => {
    const own = await openLedger(deps, { settings: { maturityDays: 2 } });
    const member = await own.member();
    await own.lot(member, 100);
    expect(await own.points(member)).toEqual([0, 100, 0, 100]);
    await own.tick(new Date('2021-01-02T23:59:59.999Z'));
    expect(await refusal(deps.db, () => own.spend(member, 1) as never)).toBe('INSUFFICIENT_POINTS');
    await own.tick(new Date('2021-01-03T00:00:00Z'));
    expect(await own.points(member)).toEqual([100, 0, 0, 100]);
    await own.spent(member, 100);
  });

  test('again with its key is the first spend; with other points or another member a conflict', async () => {
    const member = await shop.member();
    const other = await shop.member();
    await shop.lot(member, 100);
    await shop.lot(other, 100);
    const first = await shop.spend(member, 10, 'again');
    const retry = await unchanged(deps.db, () => shop.spend(member, 10, 'again'));
    if (!first.ok) throw new Error(first.reason);
    expect(retry).toMatchObject({ alreadySpent: true, spend: { id: first.spend.id } });
    const points = await mistake(deps.db, () => shop.spend(member, 11, 'again'));
    const who = await mistake(deps.db, () => shop.spend(other, 10, 'again'));
    expect([points.code, who.code]).toEqual(['CONFLICT', 'CONFLICT']);
  });

  test('of two members under one key at one moment is one spend and one conflict', async () => {
    const [left, right] = [deps, await testDeps({ databaseUrl: deps.config.databaseUrl })];
    const members = [await shop.member(), await shop.member()];
    for (const member of members) await shop.lot(member, 10);
    const { spendPoints } = await import('../../src/loyalty/index.ts');
    const spend = (by: typeof left, memberId: MemberId, idempotencyKey: string) =>
      spendPoints(by, { programId: shop.programId, memberId, points: 1, idempotencyKey }).then(
        () => 'spent',
        (error: { code: string }) => error.code,
      );
    for (let round = 0; round < 10; round++) {
      const said = await Promise.all([
        spend(left, members[0] as MemberId, `both-${round}`),
        spend(right, members[1] as MemberId, `both-${round}`),
      ]);
      expect(said.sort()).toEqual(['CONFLICT', 'spent']);
    }
  });

  test.each([0, -1, 1.5, Number.MAX_SAFE_INTEGER + 1])(
    'of %d points is a mistake',
    async (points) => {
      const member = await shop.member();
      const error = await mistake(deps.db, () => shop.spend(member, points));
      expect([error.code, error.field]).toEqual(['BAD_USER_INPUT', 'input.points']);
    },
  );

  test('by a member of another program finds nobody', async () => {
    const elsewhere = await (await openLedger(deps)).member();
    expect((await mistake(deps.db, () => shop.spend(elsewhere, 1))).code).toBe('NOT_FOUND');
  });
});

test('each change is told in one event, and what was refused or repeated in none', async () => {
  const own = await openLedger(deps, { settings: { expiryMonths: 1 } });
  const member = await own.member();
  await own.lot(member, 100, { orderId: 'o' });
  await own.award(member, 'o', { amount: 100 });
  await own.spend(member, 101);
  const spent = await own.spent(member, 60);
  await own.refund(spent, 10, 'f');
  await own.refund(spent, 10, 'f');
  await own.reverse('o', 20, { refundId: 'r' });
  await own.reverse('o', 20, { refundId: 'r' });
  await own.advance(later(40));
  expect(await own.events()).toEqual(
    ['awarded', 'spent', 'refunded', 'reversed', 'expired'].map((what) => `points.${what}`),
  );
});

describe('the refund of a spend', () => {
  test('fills the newest draw first, in parts', async () => {
    const member = await shop.member();
    const old = await shop.lot(member, 30, { occurredAt: later(-3) });
    const young = await shop.lot(member, 30);
    const id = await shop.spent(member, 50);
    await shop.refund(id, 15);
    expect(await drawsOf(id)).toEqual([
      [old.id, 30n, 0n],
      [young.id, 20n, 15n],
    ]);
    await shop.refund(id, 15);
    expect(await drawsOf(id)).toEqual([
      [old.id, 30n, 10n],
      [young.id, 20n, 20n],
    ]);
    expect(await shop.find(young.id)).toMatchObject({ remaining: 30n, drawn: 0n });
    expect(await shop.points(member)).toEqual([40, 0, 0, 40]);
    expect((await shop.journal(member)).slice(3)).toEqual([
      'REFUND 15 = 25',
      'REFUND 5 = 30',
      'REFUND 10 = 40',
    ]);
    expect(await shop.differences()).toEqual([]);
  });

  test('of more than the spend has left is a conflict', async () => {
    const member = await shop.member();
    await shop.lot(member, 30);
    const id = await shop.spent(member, 30);
    expect((await mistake(deps.db, () => shop.refund(id, 31))).code).toBe('CONFLICT');
    await shop.refund(id, 20);
    expect((await mistake(deps.db, () => shop.refund(id, 11))).code).toBe('CONFLICT');
    await shop.refund(id, 10);
    expect((await mistake(deps.db, () => shop.refund(id, 1))).code).toBe('CONFLICT');
  });

  test('again with its key changes nothing; with other points it is a conflict', async () => {
    const member = await shop.member();
    await shop.lot(member, 30);
    const id = await shop.spent(member, 30);
    await shop.refund(id, 5, 'once');
    const again = await unchanged(deps.db, () => shop.refund(id, 5, 'once'));
    expect(again).toMatchObject({ id, refunded: 5n });
    expect((await mistake(deps.db, () => shop.refund(id, 6, 'once'))).code).toBe('CONFLICT');
  });

  test('into a lot that has expired meanwhile is two lines, and gives nothing to spend', async () => {
    const own = await openLedger(deps, { settings: { expiryMonths: 1 } });
    const member = await own.member();
    const lot = await own.lot(member, 100);
    const id = await own.spent(member, 60);
    await own.advance(later(40));
    await own.refund(id, 50);
    expect(await own.journal(member)).toEqual([
      'AWARD 100 = 100',
      'SPEND -60 = 40',
      'EXPIRE -40 = 0',
      'REFUND 50 = 50',
      'EXPIRE -50 = 0',
    ]);
    expect(await own.find(lot.id)).toMatchObject({ remaining: 0n, drawn: 10n, expired: 90n });
    expect(await own.events()).toEqual(
      ['awarded', 'spent', 'expired', 'refunded', 'expired'].map((what) => `points.${what}`),
    );
    expect(await own.differences()).toEqual([]);
  });

  test('pays debt before it can be spent again', async () => {
    const member = await shop.member();
    await shop.lot(member, 100, { orderId: 'indebted' });
    const id = await shop.spent(member, 80);
    await shop.reverse('indebted', 100);
    expect(await shop.points(member)).toEqual([0, 0, 80, 0]);
    await shop.refund(id, 50);
    expect(await shop.points(member)).toEqual([0, 0, 30, 0]);
    await shop.refund(id, 30);
    expect(await shop.points(member)).toEqual([0, 0, 0, 0]);
    expect(await shop.differences()).toEqual([]);
  });

  test('of no spend, or one of another program, finds nothing, and leaves its key unused', async () => {
    const own = await openLedger(deps);
    const stranger = await own.member();
    await own.lot(stranger, 10);
    const foreign = await own.spent(stranger, 10);
    for (const id of [foreign, '01890000-0000-7000-8000-000000000000' as SpendId])
      expect((await mistake(deps.db, () => shop.refund(id, 1, 'lost'))).code).toBe('NOT_FOUND');
  });
});
