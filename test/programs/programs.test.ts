import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/kernel/clock.ts';
import { conflict } from '../../src/kernel/errors.ts';
import type { ProgramId } from '../../src/kernel/ids.ts';
import {
  advanceClock,
  createProgram,
  getProgram,
  listTiers,
  type ProgramInput,
  programNow,
  setTiers,
  updateProgram,
} from '../../src/programs/index.ts';
import { testDeps } from '../support/database.ts';
import { aMember, aPool, aProgram } from '../support/factories.ts';
import { snapshot } from '../support/snapshot.ts';

const deps = await testDeps();

const input = (more: Partial<ProgramInput> = {}): ProgramInput => ({
  name: 'Program',
  currency: 'USD',
  timeZone: 'UTC',
  sandbox: false,
  ...more,
});
const create = async (more: Partial<ProgramInput> = {}) => {
  const { program } = await createProgram(deps, { input: input(more) });
  return { ...program, programId: program.id as ProgramId };
};

/** Also that a refusal leaves everything as it was. */
async function refused(attempt: () => Promise<unknown>, message: string) {
  const before = await snapshot(deps.db);
  await expect(attempt()).rejects.toThrow(message);
  expect(await snapshot(deps.db)).toEqual(before);
}

describe('createProgram', () => {
  test('gives the default settings and ladder, and a key with every scope', async () => {
    const { program, secretKey } = await createProgram(deps, { input: input() });
    expect(program).toMatchObject({
      minAmount: 0n,
      dailyCap: null,
      expiryMonths: 12,
      maturityDays: 0,
      graceDays: 30,
      graceWarningDays: [14, 3],
      reupgradeBonus: 0n,
      reupgradeWindowMonths: 12,
      birthdayBonus: 0n,
      reengagementBonus: 0n,
      inactiveDays: 90,
      spendOrder: 'OLDEST_EARNED',
      maxDiscountRate: 3_000,
      maxBackdateDays: 60,
      sandbox: false,
      clock: null,
    });
    expect([program.baseRate.toFixed(), program.pointValue.toFixed()]).toEqual(['1', '1']);
    const tiers = await listTiers(deps, { programId: program.id as ProgramId });
    expect(
      tiers.map((t) => [t.rank, t.name, t.qualifyPoints, t.maintainPoints, t.multiplier]),
    ).toEqual([
      [1, 'Member', 0n, 0n, 10_000],
      [2, 'Silver', 1_000n, 800n, 12_500],
      [3, 'Gold', 5_000n, 4_000n, 15_000],
      [4, 'VIP', 15_000n, 12_000n, 20_000],
    ]);
    expect(secretKey).toMatch(/^flash_sk_[0-9a-f]{32}_[A-Za-z0-9_-]{43}$/);
    expect(secretKey).toContain(program.id.replaceAll('-', ''));
    const stored = JSON.stringify(await deps.db.secretKey.findMany(), (_, v) =>
      typeof v === 'bigint' ? String(v) : v,
    );
    expect(stored).not.toContain(secretKey.slice(-43));
  });

  test('takes what differs from the defaults', async () => {
    const settings = { baseRate: '0.1', dailyCap: 5, expiryMonths: null, graceWarningDays: [7] };
    const tiers = [{ name: 'Only', qualifyPoints: 0, maintainPoints: 0, multiplier: 10_000 }];
    const program = await create({ settings, tiers, currency: 'JPY', timeZone: 'Asia/Tokyo' });
    expect(program.baseRate.toFixed()).toBe('0.1');
    expect(program).toMatchObject({ dailyCap: 5n, expiryMonths: null, graceWarningDays: [7] });
    expect(await listTiers(deps, program)).toHaveLength(1);
  });

  test.each(['usd', 'US', 'DOLLAR', '', 'XXX1', 'U\0D'])('%j is no currency', (currency) =>
    refused(() => create({ currency }), 'input.currency: expected an ISO 4217'),
  );

  test.each([
    'Mars/Olympus',
    '',
    'europe/berlin',
    '+02:00',
    'CEST',
    'EST5EDT4',
    'a\0',
    '../etc/passwd',
  ])('%j is no time zone', (timeZone) =>
    refused(() => create({ timeZone }), 'input.timeZone: expected an IANA time zone'),
  );

  test.each(['UTC', 'Europe/Berlin', 'America/New_York', 'Pacific/Chatham', 'Asia/Kathmandu'])(
    '%s is one',
    async (timeZone) => expect((await create({ timeZone })).timeZone).toBe(timeZone),
  );

  test('a live program has no clock to set', () =>
    refused(() => create({ clock: new Date() }), 'input.clock: expected no clock'));

  test.each(['1969-12-31T23:59:59Z', '3000-01-01T00:00:00Z'])(
    'a sandbox clock does not stand at %s',
    (at) =>
      refused(
        () => create({ sandbox: true, clock: new Date(at) }),
        'input.clock: expected an instant',
      ),
  );

  test('settings that make no sense together are refused', () =>
    refused(
      () => create({ settings: { expiryMonths: 1, maturityDays: 29 } }),
      'input.settings.maturityDays',
    ));
});

describe('updateProgram', () => {
  test('keeps what is left out', async () => {
    const program = await create({ settings: { dailyCap: 7 } });
    const after = await updateProgram(deps, { ...program, settings: { graceDays: 5 } });
    expect(after).toMatchObject({ dailyCap: 7n, graceDays: 5, inactiveDays: 90 });
    const removed = await updateProgram(deps, { ...program, settings: { dailyCap: null } });
    expect(removed.dailyCap).toBeNull();
  });

  test('judges the new together with what is kept, from either side', async () => {
    const late = await create({ settings: { maturityDays: 60 } });
    const update = (of: typeof late, settings: object) => () =>
      updateProgram(deps, { ...of, settings });
    await refused(update(late, { expiryMonths: 1 }), 'settings.maturityDays');
    const soon = await create({ settings: { expiryMonths: 1 } });
    await refused(update(soon, { maturityDays: 29 }), 'settings.maturityDays');
    await updateProgram(deps, { ...soon, settings: { maturityDays: 29, expiryMonths: 2 } });
  });

  test('expiry shortened, maturity lengthened, both commit: one of the two', async () => {
    for (let round = 0; round < 20; round++) {
      const program = await create({ settings: { expiryMonths: 12, maturityDays: 0 } });
      const outcomes = await Promise.allSettled([
        updateProgram(deps, { ...program, settings: { expiryMonths: 1 } }),
        updateProgram(deps, { ...program, settings: { maturityDays: 60 } }),
      ]);
      expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected']);
    }
  });
});

describe('setTiers', () => {
  const tier = (qualifyPoints: number, name = `From ${qualifyPoints}`) => ({
    name,
    qualifyPoints,
    maintainPoints: 0,
    multiplier: 10_000,
  });

  test('ranks keep their ids, new ones are added, free ones go', async () => {
    const program = await create();
    const before = await listTiers(deps, program);
    const longer = await setTiers(deps, {
      ...program,
      tiers: [0, 10, 20, 30, 40].map((points) => tier(points)),
    });
    expect(longer.slice(0, 4).map((t) => t.id)).toEqual(before.map((t) => t.id));
    expect(longer.map((t) => t.qualifyPoints)).toEqual([0n, 10n, 20n, 30n, 40n]);
    const shorter = await setTiers(deps, { ...program, tiers: [tier(0), tier(99)] });
    expect(shorter.map((t) => t.id)).toEqual(before.slice(0, 2).map((t) => t.id));
    expect(await listTiers(deps, program)).toEqual(shorter);
  });

  test('a rank that a member stands on cannot go', async () => {
    const { programId } = await aProgram(deps);
    const member = await aMember(deps, { programId });
    const [, silver] = await listTiers(deps, { programId });
    await deps.db.member.update({
      where: { programId_id: { programId, id: member.id } },
      data: { tierId: silver?.id as string },
    });
    const { message } = conflict('tiers: members or pools stand on a rank that would be removed');
    await refused(() => setTiers(deps, { programId, tiers: [tier(0)] }), message);
    await setTiers(deps, { programId, tiers: [tier(0), tier(1)] });
  });

  test('a rank that a pool asks for cannot go', async () => {
    const { programId } = await aProgram(deps);
    const [, , gold] = await listTiers(deps, { programId });
    await aPool(deps, { programId, codes: 1, input: { minTierId: gold?.id as string } });
    await refused(() => setTiers(deps, { programId, tiers: [tier(0), tier(1)] }), 'tiers: members');
  });

  test('two ladders set at once: one of them, whole', async () => {
    const program = await create();
    const ladders = [
      ['A1', 'A2', 'A3'],
      ['B1', 'B2', 'B3', 'B4', 'B5'],
    ].map((names) => names.map((name, i) => tier(i * 10, name)));
    for (let round = 0; round < 10; round++) {
      await Promise.all(ladders.map((tiers) => setTiers(deps, { ...program, tiers })));
      const names = (await listTiers(deps, program)).map((t) => t.name).join();
      expect(['A1,A2,A3', 'B1,B2,B3,B4,B5']).toContain(names);
    }
  });
});

describe('the clock', () => {
  const at = (text: string) => new Date(text);

  test('of a live program is real time', async () => {
    const program = await create();
    const before = systemClock.now().getTime();
    const now = (await programNow(deps, program)).getTime();
    expect(now).toBeGreaterThanOrEqual(before - 1_000);
    expect(now).toBeLessThanOrEqual(systemClock.now().getTime() + 1_000);
  });

  test('of a sandbox stands where it was put, and only goes forward', async () => {
    const clock = at('2021-03-01T10:00:00.123Z');
    const program = await create({ sandbox: true, clock });
    expect(await programNow(deps, program)).toEqual(clock);
    const later = at('2021-03-02T00:00:00Z');
    expect((await advanceClock(deps, { ...program, to: later })).clock).toEqual(later);
    expect((await advanceClock(deps, { ...program, to: later })).clock).toEqual(later);
    expect(await programNow(deps, program)).toEqual(later);
    await refused(
      () => advanceClock(deps, { ...program, to: clock }),
      'to: expected an instant not',
    );
  });

  test('of a live program is not advanced', async () => {
    const program = await create();
    await refused(
      () => advanceClock(deps, { ...program, to: at('2999-01-01T00:00:00Z') }),
      'to: ex',
    );
  });

  test('advanced from many sides at once: it stands at the furthest', async () => {
    const program = await create({ sandbox: true, clock: at('2021-01-01T00:00:00Z') });
    const days = Array.from(
      { length: 20 },
      (_, i) => new Date(Date.UTC(2021, 0, 2 + ((i * 7) % 20))),
    );
    await Promise.allSettled(days.map((to) => advanceClock(deps, { ...program, to })));
    const { clock } = await getProgram(deps, program);
    expect(clock).toEqual(at('2021-01-21T00:00:00Z'));
  });

  test('without a clock a sandbox stands at the real time of its creation', async () => {
    const before = systemClock.now().getTime();
    const program = await create({ sandbox: true });
    const now = (await programNow(deps, program)).getTime();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(systemClock.now().getTime());
  });
});
