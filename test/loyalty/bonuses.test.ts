import { describe, expect, test } from 'vitest';
import type { MemberId } from '../../src/kernel/ids.ts';
import { birthdayBonusTask, reengagementBonusTask } from '../../src/loyalty/index.ts';
import { upsertMember } from '../../src/members/index.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { DAY, type Ledger, openLedger } from '../support/ledger.ts';
import { runTask, whoIsDue } from '../support/member-tasks.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const NONE = { scanned: 0, changed: 0 };
const ONE = { scanned: 1, changed: 1 };

const at = (day: string) => new Date(`${day}T08:00:00Z`);
/** On the eve, for whoever comes on the day itself has had no birthday here. */
const opened = (day: string, settings = {}) =>
  openLedger(deps, {
    clock: new Date(at(day).getTime() - DAY),
    settings: { birthdayBonus: 50, ...settings },
  });

async function born({ programId }: Ledger, birthday: string): Promise<MemberId> {
  const input = { externalId: unique('born'), birthday };
  return (await upsertMember(deps, { programId, input })).id as MemberId;
}

const lotsOf = async (ledger: Ledger, source: string) =>
  (await ledger.lots())
    .filter((lot) => lot.source === source)
    .map(({ memberId, points, occasion }) => [memberId, Number(points), occasion]);

describe('the birthday bonus', () => {
  const run = ({ programId }: Ledger, day: string) =>
    runTask(deps, birthdayBonusTask, { programId, day });

  test('is one lot on the day, and an event; the day again changes nothing', async () => {
    const own = await opened('2021-06-15');
    const member = await born(own, '1990-06-15');
    for (const other of ['1990-06-14', '1990-06-16', '1990-07-15', '1990-05-15'])
      await born(own, other);
    await own.member();
    expect(await run(own, '2021-06-15')).toEqual(ONE);
    expect(await unchanged(deps.db, () => run(own, '2021-06-15'))).toEqual(NONE);
    expect(await lotsOf(own, 'BIRTHDAY')).toEqual([[member, 50, '2021']]);
    expect(await own.points(member)).toEqual([50, 0, 0, 50]);
    expect(await own.events()).toEqual(['points.awarded']);
    expect(await own.differences()).toEqual([]);
  });

  test.each([
    ['2023-02-28', ['1992-02-28', '1992-02-29']],
    ['2024-02-28', ['1992-02-28']],
    ['2024-02-29', ['1992-02-29']],
    ['2023-03-01', []],
    ['2100-02-28', ['1992-02-28', '1992-02-29']],
    ['2000-02-28', ['1992-02-28']],
  ])('on %s is for those born on %j', async (day, expected) => {
    const own = await opened(day);
    const born29 = await born(own, '1992-02-29');
    const born28 = await born(own, '1992-02-28');
    await born(own, '1992-02-27');
    const names = new Map([
      [born29 as string, '1992-02-29'],
      [born28 as string, '1992-02-28'],
    ]);
    await run(own, day);
    const paid = await lotsOf(own, 'BIRTHDAY');
    expect(paid.map(([id]) => names.get(id as string)).sort()).toEqual(expected);
  });

  test('comes once a year, also to somebody whose birthday is changed, and again the next', async () => {
    const own = await opened('2021-06-15');
    const member = await born(own, '1990-06-15');
    await run(own, '2021-06-15');
    const { externalId } = await deps.db.member.findFirstOrThrow({ where: { id: member } });
    const { programId } = own;
    await upsertMember(deps, { programId, input: { externalId, birthday: '1990-06-16' } });
    expect(await run(own, '2021-06-16')).toEqual(NONE);
    await own.tick(at('2022-06-16'));
    expect(await run(own, '2022-06-16')).toEqual(ONE);
    expect((await lotsOf(own, 'BIRTHDAY')).map(([, , year]) => year)).toEqual(['2021', '2022']);
  });

  test('is for those who were there when the day began, however late it is worked', async () => {
    const own = await opened('2021-06-15');
    await own.tick(new Date('2021-06-15T00:00:00Z'));
    const member = await born(own, '1990-06-15');
    await own.tick(new Date('2021-06-15T00:00:00.001Z'));
    await born(own, '1990-06-15');
    await own.tick(at('2021-06-17'));
    expect(await run(own, '2021-06-15')).toEqual(ONE);
    expect(await lotsOf(own, 'BIRTHDAY')).toEqual([[member, 50, '2021']]);
  });

  test('of nothing is due to nobody', async () => {
    const own = await opened('2021-06-15', { birthdayBonus: 0 });
    await born(own, '1990-06-15');
    expect(await unchanged(deps.db, () => run(own, '2021-06-15'))).toEqual(NONE);
  });

  test('pays debt before anything of it can be spent', async () => {
    const own = await opened('2021-06-15');
    const member = await born(own, '1990-06-15');
    await own.lot(member, 30, { orderId: 'gone' });
    await own.spent(member, 30);
    await own.reverse('gone', 30);
    await run(own, '2021-06-15');
    expect(await own.points(member)).toEqual([20, 0, 0, 20]);
    expect(await own.differences()).toEqual([]);
  });

  test('is given page by page, in a fixed order, each member on one page', async () => {
    const own = await opened('2021-06-15');
    const members = [];
    for (let n = 0; n < 7; n++) members.push(await born(own, '1980-06-15'));
    const { programId } = own;
    const asked = { programId, day: '2021-06-15', limit: 3 };
    expect(await whoIsDue(deps, birthdayBonusTask, asked)).toEqual([...members].sort());
    expect(await runTask(deps, birthdayBonusTask, asked)).toEqual({ scanned: 7, changed: 7 });
  });
});

describe('the re-engagement bonus', () => {
  const run = ({ programId }: Ledger, day: string) =>
    runTask(deps, reengagementBonusTask, { programId, day });
  const away = { reengagementBonus: 25, inactiveDays: 30 };
  const opened = (settings = {}) =>
    openLedger(deps, { clock: at('2021-01-01'), settings: { ...away, ...settings } });

  test('comes exactly inactiveDays after the latest purchase, and once', async () => {
    const own = await opened();
    const member = await own.member();
    await own.lot(member, 100);
    await own.tick(at('2021-01-31'));
    expect(await run(own, '2021-01-30')).toEqual(NONE);
    expect(await run(own, '2021-02-01')).toEqual(NONE);
    expect(await run(own, '2021-01-31')).toEqual(ONE);
    expect(await unchanged(deps.db, () => run(own, '2021-01-31'))).toEqual(NONE);
    expect(await lotsOf(own, 'REENGAGEMENT')).toEqual([[member, 25, '2021-01-01']]);
    expect(await own.points(member)).toEqual([125, 0, 0, 125]);
    expect(await own.differences()).toEqual([]);
  });

  test('goes by the latest purchase: an earlier one is no spell, a grant is no purchase', async () => {
    const own = await opened();
    const member = await own.member();
    await own.lot(member, 100);
    await own.tick(at('2021-01-02'));
    await own.lot(member, 0);
    await own.tick(at('2021-01-20'));
    await own.grant(member, 5);
    expect(await run(own, '2021-01-31')).toEqual(NONE);
    expect(await run(own, '2021-02-01')).toEqual(ONE);
  });

  test('comes again after the next spell, and not for the same one when the days change', async () => {
    const own = await opened();
    const member = await own.member();
    await own.lot(member, 100);
    await run(own, '2021-01-31');
    await own.set({ inactiveDays: 40 });
    expect(await run(own, '2021-02-10')).toEqual(NONE);
    await own.tick(at('2021-02-11'));
    await own.lot(member, 100);
    expect(await run(own, '2021-03-23')).toEqual(ONE);
    const spells = (await lotsOf(own, 'REENGAGEMENT')).map(([, , day]) => day);
    expect(spells).toEqual(['2021-01-01', '2021-02-11']);
  });

  test('is for those who come back after the start of the day, and not for those before', async () => {
    const own = await opened();
    const [late, early] = [await own.member(), await own.member()];
    for (const member of [late, early]) await own.lot(member, 100);
    await own.tick(new Date('2021-01-31T00:00:00Z'));
    await own.lot(early, 100);
    await own.tick(new Date('2021-01-31T00:00:00.001Z'));
    await own.lot(late, 100);
    await own.tick(at('2021-02-02'));
    await own.lot(late, 100, { occurredAt: at('2021-01-20') });
    expect(await run(own, '2021-01-31')).toEqual(ONE);
    expect(await lotsOf(own, 'REENGAGEMENT')).toEqual([[late, 25, '2021-01-01']]);
    expect(await run(own, '2021-03-02')).toEqual({ scanned: 2, changed: 2 });
  });

  test('is not for a purchase of the past that came after the day', async () => {
    const own = await opened();
    await own.tick(at('2021-02-02'));
    await own.lot(await own.member(), 100, { occurredAt: at('2021-01-01') });
    expect(await run(own, '2021-01-31')).toEqual(NONE);
  });

  test('is one for several purchases of the same day', async () => {
    const own = await opened();
    const member = await own.member();
    for (const amount of [1, 2, 3]) await own.lot(member, amount);
    expect(await run(own, '2021-01-31')).toEqual(ONE);
  });

  test('of nothing is due to nobody, and whoever never bought has not been away', async () => {
    const own = await opened({ reengagementBonus: 0 });
    await own.lot(await own.member(), 100);
    expect(await unchanged(deps.db, () => run(own, '2021-01-31'))).toEqual(NONE);
    await own.set({ reengagementBonus: 25 });
    await own.member();
    expect(await run(own, '2021-01-31')).toEqual(ONE);
  });
});

test('a member who is not due, or of another program, is not paid', async () => {
  const own = await opened('2021-06-15');
  const other = await opened('2021-06-15');
  const memberIds = [await born(own, '1990-06-16'), await born(other, '1990-06-15')];
  const { programId } = own;
  const work = () => birthdayBonusTask.work(deps, { programId, day: '2021-06-15', memberIds });
  expect(await unchanged(deps.db, work)).toBe(0);
});
