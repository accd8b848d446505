import { describe, expect, test } from 'vitest';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { DAY, HOUR, NOON, openLedger } from '../support/ledger.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const shop = await openLedger(deps);
const at = (ms: number) => new Date(NOON.getTime() + ms);

test('a purchase becomes one lot, one line of the journal and one event', async () => {
  const own = await openLedger(deps);
  const member = await own.member();
  const answer = await own.award(member, 'o-1', { amount: 250 });
  expect(answer).toMatchObject({
    ok: true,
    alreadyAwarded: false,
    capped: false,
    batch: {
      memberId: member,
      orderId: 'o-1',
      amount: 250n,
      requested: 250n,
      points: 250n,
      remaining: 250n,
      zeroReason: null,
      cap: null,
      earnedAt: NOON,
      maturesAt: NOON,
      expiresAt: new Date('2022-01-02T00:00:00Z'),
    },
  });
  expect(await own.journal(member)).toEqual(['AWARD 250 = 250']);
  const where = { programId: own.programId, memberId: member };
  const [, event, ...more] = await deps.db.event.findMany({ where, orderBy: { id: 'asc' } });
  expect(more).toEqual([]);
  expect(event).toMatchObject({
    type: 'points.awarded',
    at: NOON,
    data: { source: 'SHOPIFY', points: 250 },
  });
});

describe('a key', () => {
  test('gives the first result again, whatever date comes with it, and writes nothing', async () => {
    const member = await shop.member();
    const first = await shop.lot(member, 100, { orderId: 'again' });
    const retry = await unchanged(deps.db, () =>
      shop.award(member, 'again', { amount: 100, occurredAt: at(-HOUR) }),
    );
    expect(retry).toMatchObject({ ok: true, alreadyAwarded: true, batch: { id: first.id } });
  });

  test('gives the first result also to a date that would be refused by now', async () => {
    const member = await shop.member();
    const first = await shop.lot(member, 100, { orderId: 'dated' });
    const occurredAt = at(-1_000 * DAY);
    const retry = await unchanged(deps.db, () =>
      shop.award(member, 'dated', { amount: 100, occurredAt }),
    );
    expect(retry).toMatchObject({ ok: true, alreadyAwarded: true, batch: { id: first.id } });
  });

  test('with another amount or another member is a conflict', async () => {
    const member = await shop.member();
    const other = await shop.member();
    await shop.lot(member, 100, { orderId: 'used' });
    const amount = await mistake(deps.db, () => shop.award(member, 'used', { amount: 101 }));
    const who = await mistake(deps.db, () => shop.award(other, 'used', { amount: 100 }));
    expect([amount.code, who.code]).toEqual(['CONFLICT', 'CONFLICT']);
  });

  test('is its source and its order id: the same order id elsewhere is another purchase', async () => {
    const member = await shop.member();
    for (const source of ['RECEIPT', 'SHOPIFY', 'MARKETPLACE'])
      await shop.lot(member, 10, { orderId: 'three', source });
    expect(await shop.points(member)).toEqual([30, 0, 0, 30]);
  });

  test('may name an award, a spend, a grant and a refund of each', async () => {
    const member = await shop.member();
    await shop.lot(member, 100, { orderId: 'same' });
    await shop.grant(member, 5, { key: 'same' });
    const spent = await shop.spend(member, 50, 'same');
    if (!spent.ok) throw new Error(spent.reason);
    await shop.refund(spent.spend.id as never, 10, 'same');
    await shop.reverse('same', 20, { refundId: 'same' });
    expect(await shop.points(member)).toEqual([45, 0, 0, 45]);
  });

  test('said twice at the same moment is one award and one repetition', async () => {
    const member = await shop.member();
    const both = await Promise.all([1, 2].map(() => shop.award(member, 'twin', { amount: 9 })));
    const repeated = both.map((one) => one.ok && one.alreadyAwarded);
    expect(repeated.sort()).toEqual([false, true]);
    expect(await shop.journal(member)).toEqual(['AWARD 9 = 9']);
  });
});

describe('a purchase that earns nothing', () => {
  test.each([
    ['BELOW_MINIMUM', { minAmount: 100 }, 99],
    ['ZERO_RATE', { baseRate: '0' }, 100],
    ['ZERO_RATE', {}, 0],
    ['CAPPED', { dailyCap: 0 }, 100],
  ])(
    'is kept with the reason %s (%j, amount %i), and a retry under other terms pays nothing',
    async (reason, settings, amount) => {
      const own = await openLedger(deps, { settings });
      const member = await own.member();
      const lot = await own.lot(member, amount, { orderId: 'o' });
      expect(lot).toMatchObject({ points: 0n, remaining: 0n, zeroReason: reason });
      await own.set({ minAmount: 0, baseRate: '1', dailyCap: null });
      await own.tick(at(DAY));
      const retry = await unchanged(deps.db, () => own.award(member, 'o', { amount }));
      expect(retry).toMatchObject({ ok: true, alreadyAwarded: true, batch: { id: lot.id } });
      expect([await own.journal(member), await own.events()]).toEqual([[], []]);
      expect(await own.differences()).toEqual([]);
    },
  );

  test('a purchase of exactly the minimum earns', async () => {
    const own = await openLedger(deps, { settings: { minAmount: 100 } });
    expect((await own.lot(await own.member(), 100)).points).toBe(100n);
  });
});

describe('generations', () => {
  test('generation 2 is accepted only when 1 is refunded in full', async () => {
    const member = await shop.member();
    const second = () => shop.award(member, 'gen', { amount: 100, generation: 2 });
    expect((await mistake(deps.db, second)).code).toBe('CONFLICT');
    await shop.lot(member, 100, { orderId: 'gen' });
    expect((await mistake(deps.db, second)).code).toBe('CONFLICT');
    await shop.reverse('gen', 99);
    expect((await mistake(deps.db, second)).code).toBe('CONFLICT');
    await shop.reverse('gen', 1);
    expect(await second()).toMatchObject({ ok: true, alreadyAwarded: false });
    expect(await shop.points(member)).toEqual([100, 0, 0, 100]);
  });

  test('a late retry of a refunded order pays nothing', async () => {
    const member = await shop.member();
    await shop.lot(member, 100, { orderId: 'late' });
    await shop.reverse('late', 100);
    const retry = await unchanged(deps.db, () => shop.award(member, 'late', { amount: 100 }));
    expect(retry).toMatchObject({ alreadyAwarded: true });
    expect(await shop.points(member)).toEqual([0, 0, 0, 0]);
  });

  test('generation 3 does not follow 1', async () => {
    const member = await shop.member();
    await shop.lot(member, 100, { orderId: 'skip' });
    await shop.reverse('skip', 100);
    const third = () => shop.award(member, 'skip', { amount: 100, generation: 3 });
    expect((await mistake(deps.db, third)).code).toBe('CONFLICT');
  });
});

describe('occurredAt', () => {
  test.each([
    ['five minutes ahead counts as now', 5 * 60_000, 0],
    ['one millisecond ahead counts as now', 1, 0],
    ['an hour back is then', -HOUR, -HOUR],
    ['maxBackdateDays back is then', -60 * DAY, -60 * DAY],
  ])('%s', async (_, said, earned) => {
    const lot = await shop.lot(await shop.member(), 10, { occurredAt: at(said) });
    expect(lot.earnedAt).toEqual(at(earned));
    expect(lot.day.toISOString().slice(0, 10)).toBe(at(earned).toISOString().slice(0, 10));
  });

  test.each([5 * 60_000 + 1, DAY, -60 * DAY - 1, -Number(NOON)])(
    '%i ms from now is refused',
    async (ms) => {
      const member = await shop.member();
      const asked = () => shop.award(member, 'far', { amount: 10, occurredAt: at(ms) });
      const { code, field } = await mistake(deps.db, asked);
      expect([code, field]).toEqual(['BAD_USER_INPUT', 'input.occurredAt']);
    },
  );

  test('a purchase so old that its points have expired comes in and is not spent', async () => {
    const own = await openLedger(deps, { settings: { expiryMonths: 1, maxBackdateDays: 60 } });
    const member = await own.member();
    await own.lot(member, 100, { occurredAt: at(-50 * DAY) });
    expect(await own.points(member)).toEqual([0, 0, 0, 100]);
    await own.sweep();
    expect(await own.points(member)).toEqual([0, 0, 0, 0]);
    expect(await own.differences()).toEqual([]);
  });
});

describe('how many', () => {
  test.each([
    ['USD', '1', 1_999, 1, 19],
    ['USD', '1.5', 1_999, 1, 29],
    ['USD', '1', 1_999, 2, 24],
    ['USD', '1', 1_999, 4, 39],
    ['JPY', '0.1', 1_999, 1, 199],
    ['JPY', '1', 1_999, 3, 2_998],
    ['KWD', '10', 1_999, 1, 19],
    ['KWD', '0.333333', 9_999, 2, 4],
    ['USD', '0.1', 1_000, 1, 1],
    ['USD', '999999', 10_000_000, 1, 99_999_900_000],
    ['JPY', '0.999999', 999_999_999_999, 1, 999_998_999_999],
  ])(
    '%s at %s points, amount %i, rank %i: %i points',
    async (currency, baseRate, amount, rank, points) => {
      const own = await openLedger(deps, { currency, settings: { baseRate } });
      const member = await own.member(rank);
      const quote = await own.quote(member, amount);
      expect(quote).toMatchObject({ awarded: BigInt(points) });
      expect((await own.lot(member, amount)).points).toBe(BigInt(points));
    },
  );

  test('more than can be counted is a mistake of the input, quoted or awarded', async () => {
    const own = await openLedger(deps, { currency: 'JPY', settings: { baseRate: '999999' } });
    const member = await own.member(4);
    const amount = 1_000_000_000_000;
    const award = await mistake(deps.db, () => own.award(member, 'o', { amount }));
    const quote = await mistake(deps.db, () => own.quote(member, amount));
    expect([award.field, quote.field]).toEqual(['input.amount', 'amount']);
  });

  test('many awards at once are each what they would be alone', async () => {
    const own = await openLedger(deps);
    const members = await Promise.all([1, 2, 3, 4].map((rank) => own.member(rank)));
    const lots = await Promise.all(
      members.flatMap((member, rank) =>
        [100, 7].map((amount) => own.lot(member, amount).then((l) => [rank, l.points])),
      ),
    );
    expect(lots).toEqual([
      [0, 100n],
      [0, 7n],
      [1, 125n],
      [1, 8n],
      [2, 150n],
      [2, 10n],
      [3, 200n],
      [3, 14n],
    ]);
  });
});

describe('is refused', () => {
  test('to a member of another program, or nobody', async () => {
    const elsewhere = await (await openLedger(deps)).member();
    const { code } = await mistake(deps.db, () =>
      shop.award(elsewhere, unique('o'), { amount: 1 }),
    );
    expect(code).toBe('NOT_FOUND');
  });

  test.each([
    ['source', { source: 'MANUAL' }],
    ['source', { source: 'BIRTHDAY' }],
    ['amount', { amount: -1 }],
    ['amount', { amount: 0.5 }],
    ['amount', { amount: 1_000_000_000_001 }],
    ['generation', { generation: 0 }],
  ])('for a wrong %s: %j', async (field, wrong) => {
    const member = await shop.member();
    const error = await mistake(deps.db, () => shop.award(member, 'o', { amount: 1, ...wrong }));
    expect([error.code, error.field]).toEqual(['BAD_USER_INPUT', `input.${field}`]);
  });
});
