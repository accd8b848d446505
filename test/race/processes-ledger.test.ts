/** The races of the ledger as clients meet them: over HTTP, at two API processes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MemberId } from '../../src/kernel/ids.ts';
import { type ApiPair, startApiPair } from '../support/api-processes.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { openLedger } from '../support/ledger.ts';
import { luck, rounds } from '../support/torture.ts';

const CAP = 100;
const deps = await testDeps();
const ledger = await openLedger(deps, { settings: { dailyCap: CAP } });
let on: ApiPair;
beforeAll(async () => {
  on = await startApiPair(deps.config.databaseUrl, ledger.secretKey);
});
afterAll(() => on?.end());

const AWARD = `mutation ($input: AwardPointsInput!) { answer: awardPoints(input: $input) {
  ... on AwardPointsSuccess { batch { id } } ... on Refusal { reason } } }`;
const SPEND = `mutation ($input: SpendPointsInput!) { answer: spendPoints(input: $input) {
  ... on SpendPointsSuccess { spend { id } } ... on Refusal { reason } } }`;

type Asked = { memberId: MemberId; amount: number; orderId?: string };
const award = async (n: number, { orderId = unique('order'), ...asked }: Asked) =>
  on.ask(n, AWARD, { input: { ...asked, orderId, source: 'SHOPIFY' } });
const spend = async (n: number, memberId: MemberId, points: number) => {
  const input = { memberId, points, idempotencyKey: unique('spend') };
  const { reason } = await on.ask(n, SPEND, { input });
  expect([undefined, 'INSUFFICIENT_POINTS']).toContain(reason);
  return reason ? 0 : points;
};
const times = <T>(count: number, go: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => go(n));
const pointsOf = async (memberId: MemberId) => {
  const lots = await deps.db.ledgerBatch.findMany({ where: { memberId } });
  return lots.map(({ points }) => Number(points)).sort((a, b) => b - a);
};

test('the same award 50 times at two API processes at once: one lot', async () => {
  for (let round = rounds(1, 20); round > 0; round--) {
    const [memberId, orderId] = [await ledger.member(), unique('order')];
    await Promise.all(times(50, (n) => award(n, { memberId, amount: 70, orderId })));
    expect(await pointsOf(memberId)).toEqual([70]);
  }
});

test('30 awards at the edge of the cap at two API processes at once: the cap exactly', async () => {
  for (let round = rounds(1, 20); round > 0; round--) {
    const memberId = await ledger.member();
    await Promise.all(times(30, (n) => award(n, { memberId, amount: 7 })));
    const points = await pointsOf(memberId);
    expect(points.filter((some) => some > 0)).toEqual([...Array(14).fill(7), 2]);
    expect(points).toHaveLength(30);
  }
  expect(await ledger.differences()).toEqual([]);
});

test('awards and spends of one member at two API processes: never negative, ties out', async () => {
  for (let round = rounds(1, 20); round > 0; round--) {
    const memberId = await ledger.member();
    const awards = times(30, (n) => async () => {
      await award(n, { memberId, amount: 5 });
      return 0;
    });
    const spends = times(30, (n) => () => spend(n + 1, memberId, 6));
    const goes = luck(`at two ${round}`).shuffled([...awards, ...spends]);
    const spent = (await Promise.all(goes.map((go) => go()))).reduce((sum, one) => sum + one, 0);
    const left = CAP - spent;
    expect(await ledger.points(memberId)).toEqual([left, 0, 0, left]);
    const lines = await deps.db.ledgerEntry.findMany({ where: { memberId } });
    expect(lines.every(({ balanceAfter }) => balanceAfter >= 0n)).toBe(true);
  }
  expect(await ledger.differences()).toEqual([]);
});
