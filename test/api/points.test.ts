/** Every operation on points as a client meets it. */
import { beforeEach, describe, expect, test } from 'vitest';
import { REDIS_PATIENCE } from '../../src/config.ts';
import type { MemberId } from '../../src/kernel/ids.ts';
import { createMemberToken, type Scope } from '../../src/programs/index.ts';
import { startApi, type Variables } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { type Ledger, openLedger } from '../support/ledger.ts';
import { unchanged } from '../support/unchanged.ts';
import { aKey } from '../support/world.ts';

const deps = await testDeps();
const api = await startApi(deps);

const AWARD = `mutation ($input: AwardPointsInput!) { awardPoints(input: $input) {
  __typename
  ... on AwardPointsSuccess { alreadyAwarded capped member { balance }
    batch { id source orderId generation amount requested points remaining zeroReason
      earnedAt maturesAt expiresAt } }
  ... on Refusal { reason retryable message } } }`;
const SPEND = `mutation ($input: SpendPointsInput!) { spendPoints(input: $input) {
  __typename
  ... on SpendPointsSuccess { alreadySpent member { balance }
    spend { id points refunded spentAt allocations { points refunded batch { id } } } }
  ... on Refusal { reason retryable } } }`;
const GRANT = `mutation ($input: GrantPointsInput!) {
  grantPoints(input: $input) { id source points expiresAt orderId amount } }`;
const REFUND = `mutation ($input: RefundSpendInput!) {
  refundSpend(input: $input) { id points refunded allocations { refunded } } }`;
const REVERSE = `mutation ($input: ReverseAwardInput!) {
  reverseAward(input: $input) {
    reversed debt pending alreadyReversed member { balance debtPoints } } }`;
const QUOTE = `query ($memberId: ID!, $source: PointsSource!, $amount: SafeInt!) {
  quotePoints(memberId: $memberId, source: $source, amount: $amount) {
    base multiplier points capRemaining awarded } }`;
const LIABILITY = `query ($from: DateTime, $asOf: DateTime) {
  pointsLiability(from: $from, asOf: $asOf) {
    asOf opening awarded spent expired reversed refunded closing value
    byExpiryMonth { month points } } }`;
const RECONCILE = `{ reconcile { members batches codes
  differences { invariant subject expected actual } } }`;
const MEMBER = `query ($id: ID!) { member(id: $id) { balance pendingPoints debtPoints
  batches(first: 2) { nodes { points } pageInfo { hasNextPage endCursor } }
  entries(first: 2) { nodes { kind points balanceAfter batch { id } }
    pageInfo { hasNextPage endCursor } } } }`;

let ledger: Ledger;
let member: MemberId;
let secretKey: string;
let token: string;
beforeEach(async () => {
  ledger = await openLedger(deps, { settings: { dailyCap: 100 } });
  member = await ledger.member(2);
  secretKey = await keyWith(
    'LEDGER_READ',
    'POINTS_AWARD',
    'POINTS_GRANT',
    'POINTS_SPEND',
    'MEMBERS_READ',
  );
  token = await createMemberToken(deps, {
    programId: ledger.programId,
    memberId: member,
    ttlSeconds: 600,
  });
});

const keyWith = async (...scopes: Scope[]) =>
  (await aKey(deps, { programId: ledger.programId, scopes })).secretKey;
const purchase = (of: Variables = {}) => ({
  ...{ memberId: member, source: 'SHOPIFY', orderId: 'o-1', amount: 64, ...of },
});
const award = (of: Variables = {}, credential = secretKey) =>
  api.query(credential, AWARD, { input: purchase(of) });
const spend = (of: Variables = {}, credential = secretKey) =>
  api.query(credential, SPEND, {
    input: { memberId: member, points: 30, idempotencyKey: 's-1', ...of },
  });
/** The code of the only error, of what changed nothing. */
const refused = (ask: () => ReturnType<typeof award>) =>
  unchanged(deps.db, async () => {
    const { status, body } = await ask();
    expect(body.errors).toHaveLength(1);
    const { code, field } = body.errors?.[0]?.extensions ?? {};
    return field === undefined ? `${status} ${code}` : `${status} ${code} ${field}`;
  });

test('what is quoted is what is awarded, up to the cap, and again when it is asked again', async () => {
  const quote = { memberId: member, source: 'SHOPIFY', amount: 64 };
  expect((await api.query(secretKey, QUOTE, quote)).body.data.quotePoints).toEqual({
    base: 64,
    multiplier: 12_500,
    points: 80,
    capRemaining: 100,
    awarded: 80,
  });
  expect((await award()).body.data.awardPoints).toMatchObject({
    __typename: 'AwardPointsSuccess',
    ...{ alreadyAwarded: false, capped: false, member: { balance: 80 } },
    batch: {
      ...{ source: 'SHOPIFY', orderId: 'o-1', generation: 1, amount: 64, requested: 80 },
      ...{ points: 80, remaining: 80, zeroReason: null },
      earnedAt: '2021-01-01T12:00:00.000Z',
      maturesAt: '2021-01-01T12:00:00.000Z',
      expiresAt: '2022-01-02T00:00:00.000Z',
    },
  });
  const again = await unchanged(deps.db, () => award());
  expect(again.body.data.awardPoints).toMatchObject({ alreadyAwarded: true });
  const next = (await award({ orderId: 'o-2' })).body.data.awardPoints;
  expect(next).toMatchObject({ capped: true, batch: { requested: 80, points: 20 } });
  const none = (await award({ orderId: 'o-3' })).body.data.awardPoints;
  expect(none).toMatchObject({ capped: true, batch: { points: 0, zeroReason: 'CAPPED' } });
});

test('points are spent, given back, and taken back when the purchase is refunded', async () => {
  const { batch } = (await award()).body.data.awardPoints;
  const { spend: spent, ...rest } = (await spend()).body.data.spendPoints;
  expect(rest).toMatchObject({ alreadySpent: false, member: { balance: 50 } });
  expect(spent).toMatchObject({
    ...{ points: 30, refunded: 0, spentAt: '2021-01-01T12:00:00.000Z' },
    allocations: [{ points: 30, refunded: 0, batch: { id: batch.id } }],
  });
  const retry = (await unchanged(deps.db, () => spend())).body.data.spendPoints;
  expect(retry).toMatchObject({ alreadySpent: true, spend: { id: spent.id } });
  const input = { spendId: spent.id, points: 10, idempotencyKey: 'f-1' };
  expect((await api.query(secretKey, REFUND, { input })).body.data.refundSpend).toEqual({
    ...{ id: spent.id, points: 30, refunded: 10 },
    allocations: [{ refunded: 10 }],
  });
  const reverse = { source: 'SHOPIFY', orderId: 'o-1', refundId: 'r-1', amount: 64 };
  const reversal = await api.query(secretKey, REVERSE, { input: reverse });
  expect(reversal.body.data.reverseAward).toEqual({
    ...{ reversed: 60, debt: 20, pending: false, alreadyReversed: false },
    member: { balance: 0, debtPoints: 20 },
  });
  const early = await api.query(secretKey, REVERSE, {
    input: { ...reverse, orderId: 'o-9', refundId: 'r-2' },
  });
  expect(early.body.data.reverseAward).toMatchObject({ pending: true, member: null });
  expect((await api.query(secretKey, RECONCILE)).body.data.reconcile).toEqual({
    ...{ members: 1, batches: 1, codes: 0, differences: [] },
  });
});

test('too many points are a refusal, which is no error', async () => {
  const { status, body } = await unchanged(deps.db, () => spend());
  expect([status, body.errors]).toEqual([200, undefined]);
  expect(body.data.spendPoints).toEqual({
    ...{ __typename: 'Refusal', reason: 'INSUFFICIENT_POINTS', retryable: true },
  });
});

test('an award that is withheld because the tracker is away can be asked for again', async () => {
  const { databaseUrl } = deps.config;
  const config = { ...REDIS_PATIENCE, redisUrl: 'redis://127.0.0.1:1' };
  const gone = await testDeps({ databaseUrl, config });
  const other = await startApi(gone);
  const { body } = await unchanged(deps.db, () =>
    other.query(secretKey, AWARD, { input: purchase() }),
  );
  expect(body.data.awardPoints).toMatchObject({
    reason: 'CAP_TRACKER_UNAVAILABLE',
    retryable: true,
  });
});

test('grants, the member, its lots and its journal', async () => {
  const input = { memberId: member, points: 7, idempotencyKey: 'g', reason: 'sorry' };
  const dated = { ...input, expiresAt: '2021-05-01T00:00:00Z' };
  expect((await api.query(secretKey, GRANT, { input: dated })).body.data.grantPoints).toMatchObject(
    {
      ...{ source: 'MANUAL', points: 7, orderId: null, amount: null },
      expiresAt: '2021-05-01T00:00:00.000Z',
    },
  );
  await award();
  await spend();
  const seen = (await api.query(secretKey, MEMBER, { id: member })).body.data.member;
  expect(seen).toMatchObject({ balance: 57, pendingPoints: 0, debtPoints: 0 });
  expect(seen.batches).toMatchObject({ nodes: [{ points: 80 }, { points: 7 }] });
  expect(seen.entries.nodes).toMatchObject([
    { kind: 'SPEND', points: -30, balanceAfter: 57, batch: null },
    { kind: 'AWARD', points: 80, balanceAfter: 87 },
  ]);
  expect(seen.entries.pageInfo.hasNextPage).toBe(true);
  const next = await api.data(
    secretKey,
    `query ($id: ID!, $after: String) { member(id: $id) {
       entries(first: 2, after: $after) { nodes { kind points } pageInfo { hasNextPage } } } }`,
    { id: member, after: seen.entries.pageInfo.endCursor },
  );
  expect(next.member.entries).toEqual({
    nodes: [{ kind: 'AWARD', points: 7 }],
    pageInfo: { hasNextPage: false },
  });
});

test('the liability rolls forward', async () => {
  await award();
  await spend();
  const { body } = await api.query(secretKey, LIABILITY);
  expect(body.data.pointsLiability).toEqual({
    ...{ asOf: '2021-01-01T12:00:00.000Z', opening: 0, awarded: 80, spent: 30, expired: 0 },
    ...{ reversed: 0, refunded: 0, closing: 50, value: 50 },
    byExpiryMonth: [{ month: '2022-01', points: 50 }],
  });
  const later = await api.query(secretKey, LIABILITY, { asOf: '2022-01-02T00:00:00Z' });
  expect(later.body.data.pointsLiability).toMatchObject({
    expired: 50,
    closing: 0,
    byExpiryMonth: [],
  });
});

describe('a member token', () => {
  test('quotes and spends for its own member, and reads its own points', async () => {
    await award();
    const quote = { memberId: member, source: 'SHOPIFY', amount: 64 };
    expect((await api.query(token, QUOTE, quote)).body.data.quotePoints.awarded).toBe(20);
    expect((await spend({}, token)).body.data.spendPoints.member.balance).toBe(50);
    const me = `{ me { balance batches { nodes { points } } entries { nodes { kind } } } }`;
    expect((await api.data(token, me)).me.balance).toBe(50);
  });

  test('is FORBIDDEN another id, whether there is such a member or not', async () => {
    const other = await ledger.member();
    await ledger.lot(other, 100);
    for (const memberId of [other, '01890000-0000-7000-8000-000000000000', 'nobody']) {
      const quote = { memberId, source: 'SHOPIFY', amount: 1 };
      expect(await refused(() => spend({ memberId }, token))).toBe('403 FORBIDDEN input.memberId');
      expect(await refused(() => api.query(token, QUOTE, quote))).toBe('403 FORBIDDEN memberId');
    }
  });

  test.each([
    ['awardPoints', AWARD, () => ({ input: purchase() })],
    [
      'grantPoints',
      GRANT,
      () => ({ input: { memberId: member, points: 1, idempotencyKey: 'k', reason: 'r' } }),
    ],
    ['refundSpend', REFUND, () => ({ input: { spendId: member, points: 1, idempotencyKey: 'k' } })],
    [
      'reverseAward',
      REVERSE,
      () => ({ input: { source: 'SHOPIFY', orderId: 'o', refundId: 'r', amount: 1 } }),
    ],
    ['pointsLiability', LIABILITY, () => ({})],
    ['reconcile', RECONCILE, () => ({})],
  ])('may not use %s', async (_, document, variables) => {
    expect(await refused(() => api.query(token, document, variables()))).toBe('403 FORBIDDEN');
  });
});

describe('a secret key needs the scope for', () => {
  const operations: [string, Scope[], string, () => Variables][] = [
    ['awardPoints', ['POINTS_AWARD'], AWARD, () => ({ input: purchase() })],
    [
      'spendPoints',
      ['POINTS_SPEND'],
      SPEND,
      () => ({ input: { memberId: member, points: 1, idempotencyKey: 'k' } }),
    ],
    [
      'quotePoints',
      ['LEDGER_READ', 'POINTS_AWARD'],
      QUOTE,
      () => ({ memberId: member, source: 'RECEIPT', amount: 1 }),
    ],
    [
      'grantPoints',
      ['POINTS_GRANT'],
      GRANT,
      () => ({ input: { memberId: member, points: 1, idempotencyKey: 'k', reason: 'r' } }),
    ],
    ['pointsLiability', ['LEDGER_READ'], LIABILITY, () => ({})],
    ['reconcile', ['LEDGER_READ'], RECONCILE, () => ({})],
    [
      'reverseAward',
      ['POINTS_AWARD'],
      REVERSE,
      () => ({ input: { source: 'SHOPIFY', orderId: 'o', refundId: 'r', amount: 1 } }),
    ],
  ];
  const all: Scope[] = [
    'LEDGER_READ',
    'POINTS_AWARD',
    'POINTS_GRANT',
    'POINTS_SPEND',
    'MEMBERS_READ',
  ];
  test.each(operations)('%s: %j', async (_, enough, document, variables) => {
    const others = all.filter((scope) => !enough.includes(scope));
    const without = await keyWith(...others);
    expect(await refused(() => api.query(without, document, variables()))).toBe('403 FORBIDDEN');
    for (const scope of enough) {
      const { body } = await api.query(await keyWith(scope), document, variables());
      expect(body.errors).toBeUndefined();
    }
  });
});

describe('of another program', () => {
  test('nothing is found, and an order id is nobody else’s', async () => {
    await award();
    const foreign = await openLedger(deps);
    const stranger = await foreign.member();
    await foreign.lot(stranger, 10, { orderId: 'o-1' });
    const spendId = await foreign.spent(stranger, 5);
    expect(await refused(() => award({ memberId: stranger }))).toMatch(
      /^4\d\d (NOT_FOUND|CONFLICT)/,
    );
    expect(await refused(() => award({ memberId: stranger, orderId: 'o-2' }))).toBe(
      '404 NOT_FOUND input.memberId',
    );
    expect(await refused(() => spend({ memberId: stranger }))).toBe('404 NOT_FOUND input.memberId');
    const refund = { input: { spendId, points: 1, idempotencyKey: 'k' } };
    expect(await refused(() => api.query(secretKey, REFUND, refund))).toBe(
      '404 NOT_FOUND input.spendId',
    );
    const quote = { memberId: stranger, source: 'SHOPIFY', amount: 1 };
    expect(await refused(() => api.query(secretKey, QUOTE, quote))).toBe('404 NOT_FOUND memberId');
  });
});

describe('bad input is named, and writes nothing', () => {
  const dates = [
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '1969-12-31T23:59:59Z',
    '9999-12-31T23:59:59Z',
  ];
  const wrongs: [string, Variables, string][] = [
    ['memberId', { memberId: 'x' }, '404 NOT_FOUND'],
    ['source', { source: 'MANUAL' }, '400 BAD_USER_INPUT'],
    ['orderId', { orderId: '' }, '400 BAD_USER_INPUT'],
    ['orderId', { orderId: 'x'.repeat(201) }, '400 BAD_USER_INPUT'],
    ['orderId', { orderId: 'a\u0000b' }, '400 BAD_USER_INPUT'],
    ['generation', { generation: 0 }, '400 BAD_USER_INPUT'],
    ['amount', { amount: -1 }, '400 BAD_USER_INPUT'],
    ['amount', { amount: 1_000_000_000_001 }, '400 BAD_USER_INPUT'],
    ...dates.map((at): [string, Variables, string] => [
      'occurredAt',
      { occurredAt: at },
      '400 BAD_USER_INPUT',
    ]),
  ];
  test.each(wrongs)('awardPoints %s: %j', async (field, wrong, answer) => {
    expect(await refused(() => award(wrong))).toBe(`${answer} input.${field}`);
  });

  test.each([...dates.slice(0, 3), '2021-01-01T12:00:00Z'])(
    'grantPoints until %s',
    async (expiresAt) => {
      const input = {
        memberId: member,
        points: 1,
        idempotencyKey: unique('g'),
        reason: 'r',
        expiresAt,
      };
      expect(await refused(() => api.query(secretKey, GRANT, { input }))).toBe(
        '400 BAD_USER_INPUT input.expiresAt',
      );
    },
  );

  test.each([
    ['points', { points: 0 }],
    ['idempotencyKey', { idempotencyKey: ' ' }],
    ['reason', { reason: 'x'.repeat(501) }],
  ])('spendPoints %s: %j', async (field, wrong) => {
    expect(await refused(() => spend(wrong))).toBe(`400 BAD_USER_INPUT input.${field}`);
  });

  test('a liability of any span is answered, or refused where it ends before it begins', async () => {
    for (const from of ['1970-01-01T00:00:00Z', '2020-12-31T23:59:59Z'])
      expect((await api.query(secretKey, LIABILITY, { from })).body.errors).toBeUndefined();
    const { body } = await api.query(secretKey, LIABILITY, { asOf: dates[3] as string });
    expect(body.errors).toBeUndefined();
    const backwards = { from: '2021-01-02T00:00:00Z', asOf: '2021-01-01T00:00:00Z' };
    expect(await refused(() => api.query(secretKey, LIABILITY, backwards))).toBe(
      '400 BAD_USER_INPUT from',
    );
  });
});
