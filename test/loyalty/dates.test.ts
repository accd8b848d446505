import { describe, expect, test } from 'vitest';
import { testDeps } from '../support/database.ts';
import { DAY, HOUR, NOON, openLedger } from '../support/ledger.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();

describe('a lot expires at the start of the day after its date plus the months', () => {
  test.each([
    ['UTC', '2021-01-15T12:00:00Z', 1, '2021-02-16T00:00:00Z'],
    // The end of a month stays one.
    ['UTC', '2021-01-31T12:00:00Z', 1, '2021-03-01T00:00:00Z'],
    ['UTC', '2020-01-31T12:00:00Z', 1, '2020-03-01T00:00:00Z'],
    ['UTC', '2020-02-29T12:00:00Z', 12, '2021-03-01T00:00:00Z'],
    ['UTC', '2021-03-31T12:00:00Z', 6, '2021-10-01T00:00:00Z'],
    ['UTC', '2021-01-15T12:00:00Z', 1_200, '2121-01-16T00:00:00Z'],
    // The local date counts, and the local midnight as it will be then.
    ['America/New_York', '2021-01-31T23:30:00-05:00', 2, '2021-04-01T00:00:00-04:00'],
    ['America/New_York', '2021-10-31T00:30:00-04:00', 1, '2021-12-01T00:00:00-05:00'],
    ['Pacific/Kiritimati', '2021-01-31T09:30:00Z', 1, '2021-03-01T00:00:00+14:00'],
    ['Pacific/Pago_Pago', '2021-02-01T10:30:00Z', 1, '2021-03-01T00:00:00-11:00'],
    // The day begins at one o'clock; a midnight that comes twice counts the first time.
    ['America/Sao_Paulo', '2018-10-03T12:00:00-03:00', 1, '2018-11-04T01:00:00-02:00'],
    ['America/Havana', '2021-10-06T12:00:00-04:00', 1, '2021-11-07T00:00:00-04:00'],
    // Samoa passed over 30 December 2011.
    ['Pacific/Apia', '2011-11-29T12:00:00Z', 1, '2011-12-31T00:00:00+14:00'],
  ])('%s: earned at %s, %i months: until %s', async (timeZone, earned, expiryMonths, expires) => {
    const clock = new Date(earned);
    const own = await openLedger(deps, { timeZone, clock, settings: { expiryMonths } });
    const member = await own.member();
    const lot = await own.lot(member, 10);
    expect(lot.expiresAt).toEqual(new Date(expires));
    await own.tick(new Date(Date.parse(expires) - 1));
    expect(await own.points(member)).toEqual([10, 0, 0, 10]);
    await own.tick(new Date(expires));
    expect(await own.points(member)).toEqual([0, 0, 0, 10]);
  });

  test('without expiryMonths it never does', async () => {
    const own = await openLedger(deps, { settings: { expiryMonths: null } });
    expect((await own.lot(await own.member(), 10)).expiresAt).toBeNull();
  });

  test('and keeps its date when the settings change', async () => {
    const own = await openLedger(deps);
    const lot = await own.lot(await own.member(), 10);
    await own.set({ expiryMonths: 1 });
    expect((await own.find(lot.id)).expiresAt).toEqual(lot.expiresAt);
  });
});

describe('a lot matures at the start of the day that is so many days later', () => {
  test.each([
    ['UTC', '2021-01-15T12:00:00Z', 0, '2021-01-15T12:00:00Z'],
    ['UTC', '2021-01-15T12:00:00Z', 1, '2021-01-16T00:00:00Z'],
    ['UTC', '2021-01-31T23:59:59Z', 14, '2021-02-14T00:00:00Z'],
    ['America/New_York', '2021-03-13T12:00:00-05:00', 2, '2021-03-15T00:00:00-04:00'],
    ['America/Sao_Paulo', '2018-11-03T12:00:00-03:00', 1, '2018-11-04T01:00:00-02:00'],
    ['Pacific/Apia', '2011-12-29T12:00:00-10:00', 1, '2011-12-31T00:00:00+14:00'],
  ])('%s: earned at %s, %i days: from %s', async (timeZone, earned, maturityDays, matures) => {
    const clock = new Date(earned);
    const own = await openLedger(deps, { timeZone, clock, settings: { maturityDays } });
    expect((await own.lot(await own.member(), 10)).maturesAt).toEqual(new Date(matures));
  });
});

describe('the sweep', () => {
  test('writes off what has expired, once, and nothing else', async () => {
    const own = await openLedger(deps, { settings: { expiryMonths: 1 } });
    const [member, other] = [await own.member(), await own.member()];
    const lot = await own.lot(member, 100);
    await own.lot(other, 7);
    await own.spent(member, 30);
    await own.tick(new Date(NOON.getTime() + 20 * DAY));
    await own.lot(member, 50);
    expect(await unchanged(deps.db, () => own.sweep())).toBe(0);
    await own.tick(new Date(NOON.getTime() + 40 * DAY));
    expect(await own.sweep()).toBe(2);
    expect(await unchanged(deps.db, () => own.sweep())).toBe(0);
    expect(await own.find(lot.id)).toMatchObject({ remaining: 0n, expired: 70n, drawn: 30n });
    expect((await own.journal(member)).at(-1)).toBe('EXPIRE -70 = 50');
    expect(await own.points(other)).toEqual([0, 0, 0, 0]);
    expect(await own.differences()).toEqual([]);
  });

  test('is done for every day that the clock passes, at the start of that day', async () => {
    const own = await openLedger(deps, { timeZone: 'America/New_York' });
    const member = await own.member();
    for (const hours of [30, 60, 300])
      await own.grant(member, hours, { expiresAt: new Date(NOON.getTime() + hours * HOUR) });
    await own.advance(new Date(NOON.getTime() + 100 * HOUR));
    const entries = await deps.db.ledgerEntry.findMany({
      where: { programId: own.programId, kind: 'EXPIRE' },
      orderBy: { id: 'asc' },
    });
    expect(entries.map(({ points, at }) => [points, at.toISOString()])).toEqual([
      [-30n, '2021-01-03T05:00:00.000Z'],
      [-60n, '2021-01-04T05:00:00.000Z'],
    ]);
    expect(await own.points(member)).toEqual([300, 0, 0, 300]);
  });
});

describe('a grant', () => {
  test('comes in like an award, without a cap, and with an expiry of its own', async () => {
    const own = await openLedger(deps, { settings: { dailyCap: 10, maturityDays: 1 } });
    const member = await own.member();
    const expiresAt = new Date('2021-03-01T09:30:00Z');
    const lot = await own.grant(member, 500, { expiresAt });
    expect(lot).toMatchObject({
      ...{ source: 'MANUAL', points: 500n, requested: 500n, cap: null, amount: null },
      ...{ orderId: null, reason: 'a gift', expiresAt },
    });
    expect(await own.points(member)).toEqual([0, 500, 0, 500]);
    expect(await own.events()).toEqual(['points.awarded']);
    expect(await own.differences()).toEqual([]);
  });

  test('again with its key is the first; with other points or another member a conflict', async () => {
    const own = await openLedger(deps);
    const [member, other] = [await own.member(), await own.member()];
    const first = await own.grant(member, 5, { key: 'k' });
    const expiresAt = new Date('2021-03-01T09:30:00Z');
    const again = await unchanged(deps.db, () => own.grant(member, 5, { key: 'k', expiresAt }));
    expect(again).toMatchObject({ id: first.id, expiresAt: first.expiresAt });
    const points = await mistake(deps.db, () => own.grant(member, 6, { key: 'k' }));
    const who = await mistake(deps.db, () => own.grant(other, 5, { key: 'k' }));
    expect([points.code, who.code]).toEqual(['CONFLICT', 'CONFLICT']);
  });

  test('that would expire before it can be spent is refused, and leaves its key unused', async () => {
    const own = await openLedger(deps, { settings: { maturityDays: 2 } });
    const member = await own.member();
    for (const day of ['2020-12-31', '2021-01-02', '2021-01-03']) {
      const expiresAt = new Date(`${day}T00:00:00Z`);
      const error = await mistake(deps.db, () => own.grant(member, 5, { key: 'k', expiresAt }));
      expect([error.code, error.field]).toEqual(['BAD_USER_INPUT', 'input.expiresAt']);
    }
    const expiresAt = new Date('2021-01-03T00:00:00.001Z');
    expect(await own.grant(member, 5, { key: 'k', expiresAt })).toMatchObject({ points: 5n });
  });

  test.each([0, -5, 0.5, 1_000_000_000_001])('of %d points is a mistake', async (points) => {
    const own = await openLedger(deps);
    const member = await own.member();
    const error = await mistake(deps.db, () => own.grant(member, points));
    expect([error.code, error.field]).toEqual(['BAD_USER_INPUT', 'input.points']);
  });

  test('to nobody finds nobody', async () => {
    const elsewhere = await (await openLedger(deps)).member();
    const own = await openLedger(deps);
    expect((await mistake(deps.db, () => own.grant(elsewhere, 1))).code).toBe('NOT_FOUND');
  });
});
