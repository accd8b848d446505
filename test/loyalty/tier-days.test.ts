/** The daily evaluation: graces, warnings, one rank down; and how little it looks at. */
import { describe, expect, test } from 'vitest';
import type { MemberId } from '../../src/kernel/ids.ts';
import { evaluateTiersTask } from '../../src/loyalty/index.ts';
import { testDeps } from '../support/database.ts';
import { runTask, whoIsDue } from '../support/member-tasks.ts';
import { openTiers, type Tiers } from '../support/tiers.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const NONE = { scanned: 0, changed: 0 };

describe('a purchase counts for twelve months', () => {
  test.each([
    ['UTC', '2021-01-15T12:00:00Z', '2022-01-15'],
    ['UTC', '2021-01-31T12:00:00Z', '2022-01-31'],
    ['UTC', '2021-12-31T23:59:59Z', '2022-12-31'],
    // Leap days: twelve months before 28 February is the 28th, before the 29th as well.
    ['UTC', '2020-02-28T12:00:00Z', '2021-02-28'],
    ['UTC', '2020-02-29T12:00:00Z', '2021-03-01'],
    ['UTC', '2020-03-01T12:00:00Z', '2021-03-01'],
    ['UTC', '2019-02-28T12:00:00Z', '2020-02-28'],
    ['UTC', '2019-03-01T12:00:00Z', '2020-03-01'],
    // The local date decides, on both sides of the date line.
    ['Pacific/Kiritimati', '2021-01-31T09:59:59Z', '2022-01-31'],
    ['Pacific/Kiritimati', '2021-01-31T10:00:00Z', '2022-02-01'],
    ['Pacific/Pago_Pago', '2021-02-01T10:59:59Z', '2022-01-31'],
    ['Pacific/Pago_Pago', '2021-02-01T11:00:00Z', '2022-02-01'],
    // Days of 23 and of 25 hours, and days that begin at one o'clock or twice.
    ['America/New_York', '2021-03-14T23:59:59-04:00', '2022-03-14'],
    ['America/New_York', '2021-11-07T00:00:00-04:00', '2022-11-07'],
    ['America/New_York', '2021-11-07T23:59:59-05:00', '2022-11-07'],
    ['America/Sao_Paulo', '2017-11-04T12:00:00-02:00', '2018-11-04'],
    ['America/Havana', '2020-11-07T12:00:00-05:00', '2021-11-07'],
    ['Australia/Lord_Howe', '2021-04-04T01:45:00+10:30', '2022-04-04'],
    // Samoa passed over 30 December 2011.
    ['Pacific/Apia', '2010-12-29T12:00:00Z', '2011-12-29'],
    ['Pacific/Apia', '2010-12-30T12:00:00Z', '2011-12-31'],
  ])('%s: of %s until the start of %s', async (timeZone, bought, until) => {
    const own = await openTiers(deps, { timeZone, clock: new Date(bought) });
    const member = await own.member();
    await own.lot(member, 100);
    const end = own.startOf(until).getTime();
    await own.tick(new Date(end - 1));
    expect(await own.earned(member)).toBe(100);
    await own.tick(new Date(end));
    expect(await own.earned(member)).toBe(0);
    await own.evaluate(own.days.plusDays(own.days.of(end - 1), 0));
    expect(await own.grace(member)).toBeNull();
    await own.evaluate(until);
    expect(await own.grace(member)).toBe(own.days.plusDays(until, 30));
  });
});

/** 500 points on 1 January: rank 3, that needs 400; rank 2 needs 80. */
async function fallen(own: Tiers): Promise<MemberId> {
  const member = await own.member();
  await own.lot(member, 500);
  return member;
}

describe('a grace', () => {
  test('begins when the points fall below, warns twice, and ends one rank lower', async () => {
    const own = await openTiers(deps);
    const member = await fallen(own);
    await own.live('2022-02-01');
    expect(await own.history(member)).toEqual([
      'QUALIFIED 1-3 2021-01-01',
      'GRACE_OVER 3-2 2022-01-31',
    ]);
    expect(await own.told(member)).toEqual([
      '2021-01-01 upgraded',
      '2022-01-01 grace_started',
      '2022-01-17 grace_warning 14',
      '2022-01-28 grace_warning 3',
      '2022-01-31 downgraded',
      '2022-02-01 grace_started',
    ]);
    await own.live('2022-04-01');
    expect((await own.history(member)).slice(2)).toEqual(['GRACE_OVER 2-1 2022-03-03']);
    expect([await own.rank(member), (await own.row(member)).tierDue]).toEqual([1, null]);
    expect(await own.differences()).toEqual([]);
  });

  test('says when it ends and what is missing', async () => {
    const own = await openTiers(deps);
    const member = await fallen(own);
    await own.dawn('2022-01-01');
    const { tierId, graceEndsAt } = await own.row(member);
    expect(graceEndsAt).toEqual(own.startOf('2022-01-31'));
    const event = await deps.db.event.findFirstOrThrow({
      where: { programId: own.programId, type: 'tier.grace_started' },
    });
    expect(event.data).toEqual({
      ...{ tierId, rank: 3, earned12Months: 0, maintainPoints: 400 },
      endsAt: '2022-01-31T00:00:00+00:00',
    });
  });

  test.each([
    [399, '2022-01-31'],
    [400, null],
    [401, null],
  ])('of rank 3 begins below 400 points: with %i left, until %s', async (left, until) => {
    const own = await openTiers(deps);
    const member = await fallen(own);
    await own.live('2021-06-01');
    await own.lot(member, left);
    await own.live('2022-01-02');
    expect(await own.grace(member)).toBe(until);
  });

  test('begins the day after a refund, not at once', async () => {
    const own = await openTiers(deps);
    const member = await own.member();
    await own.lot(member, 500, { orderId: 'back' });
    await own.reverse('back', 100);
    await own.live('2021-01-02');
    expect(await own.grace(member)).toBeNull();
    await own.reverse('back', 1);
    expect(await unchanged(deps.db, () => own.evaluate('2021-01-02'))).toEqual(NONE);
    await own.live('2021-01-03');
    expect(await own.grace(member)).toBe('2021-02-02');
  });

  test('is cleared by the next evaluation when the points are back, and can begin again', async () => {
    const own = await openTiers(deps);
    const member = await fallen(own);
    await own.live('2022-01-10');
    await own.lot(member, 399);
    await own.grant(member, 1_000);
    expect((await own.row(member)).tierDue).toEqual(new Date('2022-01-17'));
    await own.live('2022-01-11');
    expect(await own.grace(member)).toBe('2022-01-31');
    await own.lot(member, 1, { orderId: 'the last' });
    expect((await own.row(member)).tierDue).toEqual(new Date('2022-01-12'));
    expect(await own.grace(member)).toBe('2022-01-31');
    await own.live('2022-01-12');
    expect(await own.grace(member)).toBeNull();
    await own.reverse('the last', 1);
    await own.live('2022-01-13');
    expect(await own.grace(member)).toBe('2022-02-12');
    expect((await own.told(member)).slice(1)).toEqual([
      '2022-01-01 grace_started',
      '2022-01-12 grace_cleared',
      '2022-01-13 grace_started',
    ]);
  });

  test('that a purchase makes good on its last day is cleared, not over', async () => {
    const own = await openTiers(deps);
    const member = await fallen(own);
    await own.live('2022-01-30');
    await own.lot(member, 400);
    await own.live('2022-02-01');
    expect([await own.rank(member), await own.grace(member)]).toEqual([3, null]);
  });

  test('is ended by an upgrade, at once', async () => {
    const own = await openTiers(deps);
    const member = await fallen(own);
    await own.live('2022-01-20');
    await own.lot(member, 1_000);
    const { graceEndsAt, graceWarned, tier } = await own.row(member);
    expect([graceEndsAt, graceWarned, tier.rank]).toEqual([null, null, 4]);
  });

  test('keeps its end when graceDays change; the next one has the new length', async () => {
    const own = await openTiers(deps);
    const member = await fallen(own);
    await own.live('2022-01-02');
    await own.set({ graceDays: 5 });
    await own.live('2022-02-02');
    expect(await own.history(member)).toContain('GRACE_OVER 3-2 2022-01-31');
    expect(await own.grace(member)).toBe('2022-02-06');
  });

  test('of no days is over when it begins: one rank a day', async () => {
    const own = await openTiers(deps, { settings: { graceDays: 0 } });
    const member = await own.member();
    await own.lot(member, 1_000);
    await own.live('2022-01-05');
    expect((await own.history(member)).slice(1)).toEqual([
      'GRACE_OVER 4-3 2022-01-01',
      'GRACE_OVER 3-2 2022-01-02',
      'GRACE_OVER 2-1 2022-01-03',
    ]);
    expect((await own.told(member)).slice(1)).toEqual([
      '2022-01-01 downgraded',
      '2022-01-02 downgraded',
      '2022-01-03 downgraded',
    ]);
  });

  test.each([
    ['America/New_York', '2022-02-12', '2022-03-14'],
    ['America/New_York', '2022-10-08', '2022-11-07'],
    ['Pacific/Kiritimati', '2022-01-30', '2022-03-01'],
  ])('ends at the start of a local day: %s, begun on %s: %s', async (timeZone, begun, ends) => {
    const own = await openTiers(deps, { timeZone, day: begun.replace('2022', '2021') });
    const member = await fallen(own);
    await own.dawn(begun);
    expect((await own.row(member)).graceEndsAt).toEqual(own.startOf(ends));
    await own.tick(new Date(own.startOf(ends).getTime() - 1));
    await own.evaluate(own.days.plusDays(ends, -1));
    expect(await own.rank(member)).toBe(3);
    await own.dawn(ends);
    expect(await own.rank(member)).toBe(2);
  });
});

describe('warnings', () => {
  const warned = async (graceDays: number, graceWarningDays: number[]) => {
    const own = await openTiers(deps, { settings: { graceDays, graceWarningDays } });
    const member = await fallen(own);
    await own.live('2022-03-01');
    return (await own.told(member)).filter((line) => line < '2022-02').slice(1);
  };

  test('come on their days, whatever the order of the list', async () => {
    expect(await warned(10, [1, 9, 5])).toEqual([
      '2022-01-01 grace_started',
      '2022-01-02 grace_warning 9',
      '2022-01-06 grace_warning 5',
      '2022-01-10 grace_warning 1',
      '2022-01-11 downgraded',
      '2022-01-12 grace_started',
      '2022-01-13 grace_warning 9',
      '2022-01-17 grace_warning 5',
      '2022-01-21 grace_warning 1',
      '2022-01-22 downgraded',
    ]);
  });

  test('of more days than the grace has do not come late', async () => {
    expect((await warned(10, [14, 11])).filter((line) => line.includes('warning'))).toEqual([]);
  });

  test('of as many days as the grace has come when it begins', async () => {
    expect((await warned(10, [10])).slice(0, 2)).toEqual([
      '2022-01-01 grace_started',
      '2022-01-01 grace_warning 10',
    ]);
  });

  test('that are set while a grace runs are given on later days, none twice', async () => {
    const own = await openTiers(deps);
    const [member, other] = [await fallen(own), await own.member()];
    await own.lot(other, 99);
    await own.live('2022-01-18');
    await own.set({ graceWarningDays: [14, 13, 12, 10, 2] });
    const { programId } = own;
    // Only who is in a grace is looked at for it, and not for the day that is over.
    expect(await whoIsDue(deps, evaluateTiersTask, { programId, day: '2022-01-18' })).toEqual([]);
    const tomorrow = { programId, day: '2022-01-19' };
    expect(await whoIsDue(deps, evaluateTiersTask, tomorrow)).toEqual([member]);
    await own.live('2022-02-01');
    const warnings = (await own.told(member)).filter((line) => line.includes('warning'));
    expect(warnings).toEqual([
      '2022-01-17 grace_warning 14',
      '2022-01-19 grace_warning 12',
      '2022-01-21 grace_warning 10',
      '2022-01-29 grace_warning 2',
    ]);
  });
});

describe('a day', () => {
  test('again changes nothing, whatever the first time did', async () => {
    const own = await openTiers(deps, { settings: { reupgradeBonus: 7 } });
    for (const points of [100, 500, 1_000]) await own.lot(await own.member(), points);
    const marked = ['2021-01-02', '2022-01-01', '2022-01-17', '2022-01-31', '2022-02-01'];
    for (const day of marked) {
      expect((await own.dawn(day)).scanned).toBeGreaterThan(1);
      expect(await unchanged(deps.db, () => own.evaluate(day))).toEqual(NONE);
    }
  });

  test('is looked at only when there can be something to find: nine in four years', async () => {
    const own = await openTiers(deps);
    const member = await fallen(own);
    const looks: string[] = [];
    for (let due = (await own.row(member)).tierDue; due; due = (await own.row(member)).tierDue) {
      const day = due.toISOString().slice(0, 10);
      expect(await own.evaluate(own.days.plusDays(day, -1))).toEqual(NONE);
      expect(await own.dawn(day)).toMatchObject({ scanned: 1 });
      looks.push(day);
    }
    expect(looks).toEqual([
      '2021-01-02',
      ...['2022-01-01', '2022-01-17', '2022-01-28', '2022-01-31'],
      ...['2022-02-01', '2022-02-17', '2022-02-28', '2022-03-03'],
    ]);
    expect([await own.rank(member), await own.dawn('2025-01-01')]).toEqual([1, NONE]);
  });

  test('is put off by purchases only when it comes', async () => {
    const own = await openTiers(deps);
    const member = await fallen(own);
    await own.dawn('2021-01-02');
    await own.live('2021-03-01');
    await own.lot(member, 400);
    expect((await own.row(member)).tierDue).toEqual(new Date('2022-01-01'));
    expect(await own.dawn('2022-01-01')).toEqual({ scanned: 1, changed: 0 });
    expect((await own.row(member)).tierDue).toEqual(new Date('2022-03-01'));
  });

  test('is worked page by page: those of an old ladder first, each member once', async () => {
    const own = await openTiers(deps);
    const members = await Promise.all(Array.from({ length: 9 }, () => own.member()));
    for (const member of members.slice(0, 4)) await own.lot(member, 500);
    const { programId } = own;
    await own.setLadder([
      [0, 0],
      [100, 80],
      [400, 400],
      [1_000, 800],
    ]);
    const late = [await own.member(), await own.member()];
    for (const member of late) await own.lot(member, 500);
    for (const limit of [1, 2, 3, 5, 100]) {
      const due = await whoIsDue(deps, evaluateTiersTask, { programId, day: '2021-01-02', limit });
      expect(due.slice(0, 9)).toEqual([...members].sort());
      expect(due.slice(9)).toEqual([...late].sort());
    }
    await own.tick(own.startOf('2021-01-02'));
    const run = { programId, day: '2021-01-02', limit: 2 };
    expect(await runTask(deps, evaluateTiersTask, run)).toEqual({ scanned: 11, changed: 0 });
    expect(await runTask(deps, evaluateTiersTask, run)).toEqual(NONE);
  });

  test('that was missed is made up for as if it had not been', async () => {
    const late = await openTiers(deps);
    const member = await fallen(late);
    await late.dawn('2021-01-02');
    await late.tick(new Date('2022-01-28T12:00:00Z'));
    await late.lot(member, 400);
    for (let day = '2022-01-01'; day <= '2022-01-28'; day = late.days.plusDays(day, 1))
      await late.evaluate(day);
    // On its own day each was right; the purchase of the 28th makes it good on the 28th.
    expect((await late.told(member)).map((line) => line.slice(11))).toEqual([
      ...['upgraded', 'grace_started', 'grace_warning 14', 'grace_cleared'],
    ]);
    expect([await late.rank(member), await late.grace(member)]).toEqual([3, null]);
  });

  test('that was missed does not judge a tier that was reached after it', async () => {
    const own = await openTiers(deps);
    const member = await fallen(own);
    await own.live('2021-12-30');
    await own.setLadder([
      [0, 0],
      [100, 80],
      [500, 450],
      [1_000, 1_000],
    ]);
    await own.tick(new Date('2022-01-03T12:00:00Z'));
    await own.lot(member, 1_000);
    for (const day of ['2021-12-31', '2022-01-01', '2022-01-02', '2022-01-03', '2022-01-04'])
      await own.evaluate(day);
    expect(await own.told(member)).toEqual(['2021-01-01 upgraded', '2022-01-03 upgraded']);
    expect([await own.rank(member), await own.grace(member)]).toEqual([4, null]);
  });
});

test('members that are not due, or of another program, are left alone', async () => {
  const own = await openTiers(deps);
  const other = await openTiers(deps);
  const memberIds = [await fallen(own), await fallen(other)];
  await own.dawn('2021-01-02');
  const { programId } = own;
  const work = () => evaluateTiersTask.work(deps, { programId, day: '2021-06-01', memberIds });
  expect(await unchanged(deps.db, work)).toBe(0);
});
