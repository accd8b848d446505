/** Days that were missed, and are made up for when more has been bought since. */
import { describe, expect, test } from 'vitest';
import type { MemberId } from '../../src/kernel/ids.ts';
import { birthdayBonusTask, evaluateTiersTask } from '../../src/loyalty/index.ts';
import { testDeps } from '../support/database.ts';
import { runTask, whoIsDue } from '../support/member-tasks.ts';
import { poison } from '../support/poison.ts';
import { openTiers, type Rungs, type Tiers } from '../support/tiers.ts';

const deps = await testDeps();
const settings = { reupgradeBonus: 70, birthdayBonus: 5 };

const stands = async (own: Tiers, member: MemberId) => ({
  history: await own.history(member),
  bonuses: await own.bonuses(member),
  grace: await own.grace(member),
  due: (await own.row(member)).tierDue,
  differences: await own.differences(),
});

type Story = { first: number; bought: Record<string, number>; until: string };

/** A grace that is over on 31 January 2022, a birthday; then each purchase at noon of its day. */
async function lived({ first, bought, until }: Story, isMissed: boolean) {
  const own = await openTiers(deps, { settings });
  const member = await own.member();
  const { programId } = own;
  const birthday = new Date('1990-01-31');
  await deps.db.member.updateMany({ where: { programId }, data: { birthday } });
  const work = async (day: string) => {
    await own.evaluate(day);
    await runTask(deps, birthdayBonusTask, { programId, day });
  };
  await own.lot(member, first);
  await own.live('2022-01-30');
  const days = [];
  for (let day = '2022-01-31'; day <= until; day = own.days.plusDays(day, 1)) days.push(day);
  for (const day of days) {
    await own.tick(own.startOf(day));
    if (!isMissed) await work(day);
    await own.tick(new Date(own.startOf(day).getTime() + 43_200_000));
    if (bought[day]) await own.lot(member, bought[day]);
  }
  if (isMissed) for (const day of days) await work(day);
  return stands(own, member);
}

describe('whoever has bought since has the rank, the bonus and the history of undisturbed days', () => {
  const REGAINED = ['GRACE_OVER 3-2 2022-01-31', 'QUALIFIED 2-3 2022-02-01'];
  test.each<[string, Story, string[]]>([
    [
      'on the next day',
      { first: 500, bought: { '2022-02-01': 500 }, until: '2022-02-02' },
      REGAINED,
    ],
    [
      'on the last day',
      { first: 500, bought: { '2022-02-01': 500 }, until: '2022-02-01' },
      REGAINED,
    ],
    [
      'days later, on the first rank, that needs nothing',
      { first: 100, bought: { '2022-02-03': 99, '2022-02-04': 1 }, until: '2022-02-05' },
      ['GRACE_OVER 2-1 2022-01-31', 'QUALIFIED 1-2 2022-02-04'],
    ],
    [
      'days later, on a rank that is kept until then',
      { first: 500, bought: { '2022-02-01': 90, '2022-02-04': 410 }, until: '2022-02-06' },
      ['GRACE_OVER 3-2 2022-01-31', 'QUALIFIED 2-3 2022-02-04'],
    ],
  ])('%s', async (_, story, expected) => {
    const missed = await lived(story, true);
    expect(missed.history.slice(1)).toEqual(expected);
    expect(missed).toMatchObject({ bonuses: [70], grace: null, differences: [] });
    const { due, ...undisturbed } = await lived(story, false);
    expect(missed).toMatchObject(undisturbed);
    // An award has the next day looked at; who made up for that day has looked already.
    expect(Number(missed.due)).toBeGreaterThanOrEqual(Number(due));
  });
});

test('a member whom the evaluation failed for has all of it once repaired', async () => {
  const own = await openTiers(deps, { settings });
  const member = await own.member();
  await own.lot(member, 500);
  const repair = await poison(deps, { task: 'EVALUATE_TIERS', memberId: member });
  const morning = (day: string) => new Date(own.startOf(day).getTime() + 28_800_000);
  await own.advance(morning('2022-02-01'));
  await own.lot(member, 500);
  await own.advance(morning('2022-02-03'));
  expect(await own.history(member)).toEqual(['QUALIFIED 1-3 2021-01-01']);
  await repair();
  await own.advance(morning('2022-02-04'));
  expect((await own.history(member)).slice(1)).toEqual([
    'GRACE_OVER 3-2 2022-01-31',
    'QUALIFIED 2-3 2022-02-01',
  ]);
  expect(await stands(own, member)).toMatchObject({ bonuses: [70], grace: null, differences: [] });
});

describe('no rank is judged on the day it was reached, or before, by whatever ladder', () => {
  const EASY: Rungs = [
    [0, 0],
    [100, 90],
    [500, 450],
    [1_000, 900],
  ];

  test('a rank that was lost in the morning is not lost again at noon', async () => {
    const own = await openTiers(deps, { settings: { graceDays: 0 } });
    const member = await own.member();
    await own.lot(member, 1_000);
    await own.live('2022-01-01');
    await own.setLadder(EASY);
    const { programId } = own;
    expect(await whoIsDue(deps, evaluateTiersTask, { programId, day: '2022-01-01' })).toEqual([]);
    const memberIds = [member];
    const work = (day: string) => evaluateTiersTask.work(deps, { programId, day, memberIds });
    expect(await work('2022-01-01')).toBe(0);
    expect(await own.rank(member)).toBe(3);
    await own.tick(own.startOf('2022-01-02'));
    expect([await work('2022-01-02'), await own.rank(member)]).toEqual([1, 2]);
  });

  test('a missed day does not take a rank that was reached on a later one', async () => {
    const own = await openTiers(deps, { settings: { graceDays: 0, maxBackdateDays: 60 } });
    const member = await own.member();
    await own.tick(new Date('2021-01-03T12:00:00Z'));
    await own.lot(member, 500);
    await own.setLadder(EASY);
    for (const day of ['2021-01-02', '2021-01-03', '2021-01-04']) await own.evaluate(day);
    expect(await own.history(member)).toEqual(['QUALIFIED 1-3 2021-01-03']);
    expect(await own.differences()).toEqual([]);
  });
});
