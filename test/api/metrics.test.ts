/** What an operator sees: numbers by names of the schema, log lines with ids and nothing else. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { REDIS_PATIENCE } from '../../src/config.ts';
import { claimCode } from '../../src/coupons/index.ts';
import { openLog } from '../../src/kernel/log.ts';
import { createWebhook } from '../../src/webhooks/index.ts';
import { runWorker } from '../../src/workers/index.ts';
import { startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { aMember, aPool, aProgram, unique } from '../support/factories.ts';
import { openLedger } from '../support/ledger.ts';
import { startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';

const deps = await testDeps({ config: { webhookAllowPrivate: true } });
const api = await startApi(deps);
const scrape = async () => (await fetch(`${api.url}/metrics`)).text();

/** The value of one line, 0 where there is none yet. */
async function number(line: string): Promise<number> {
  const found = (await scrape()).split('\n').find((one) => one.startsWith(`${line} `));
  return Number(found?.split(' ').at(-1) ?? 0);
}

const CLAIM = `mutation ($input: ClaimCodeInput!) { claimCode(input: $input) { __typename } }`;

test('claims and refusals are counted by what they came to', async () => {
  const { programId, secretKey } = await aProgram(deps);
  const pool = await aPool(deps, { programId, codes: 1 });
  const claim = (email: string) =>
    api.data(secretKey, CLAIM, { input: { poolId: pool.id, email } });
  await claim('one@example.com');
  await claim('one@example.com');
  await claim('two@example.com');
  const of = (outcome: string) =>
    number(`flash_hot_outcomes_total{operation="claim",outcome="${outcome}"}`);
  expect([await of('CLAIMED'), await of('HELD'), await of('POOL_EXHAUSTED')]).toEqual([1, 1, 1]);
  expect(await number('flash_refusals_total{reason="POOL_EXHAUSTED"}')).toBe(1);
  const minting = await aPool(deps, {
    programId,
    codes: 0,
    input: { exhaustion: 'TOP_UP', maxCodes: 5 },
  });
  await api.data(secretKey, CLAIM, { input: { poolId: minting.id, email: 'one@example.com' } });
  expect([await of('CLAIMED'), await of('TOP_UP')]).toEqual([2, 0]);
  expect(await scrape()).not.toMatch(/example\.com|[0-9a-f]{8}-[0-9a-f]{4}-/);
});

test('awards that are withheld, and days that the tracker had lost, are counted', async () => {
  const ledger = await openLedger(deps, { settings: { dailyCap: 100 } });
  const member = await ledger.member();
  await ledger.award(member, 'o-1', { amount: 10 });
  expect(await number('flash_cap_rebuilds_total')).toBe(0);
  await deps.redis.flushdb();
  await ledger.award(member, 'o-2', { amount: 10 });
  expect(await number('flash_cap_rebuilds_total')).toBe(1);
  const came = [...(await scrape()).matchAll(/operation="award",outcome="(\w+)"\} (\d+)/g)];
  expect(came.map(([, outcome, count]) => [outcome, count])).toEqual([['AWARDED', '2']]);
  const away = await testDeps({
    databaseUrl: deps.config.databaseUrl,
    config: { ...REDIS_PATIENCE, redisUrl: 'redis://127.0.0.1:1' },
  });
  away.redis.disconnect();
  const { awardPoints } = await import('../../src/loyalty/index.ts');
  const said = { programId: ledger.programId, memberId: member, source: 'SHOPIFY', generation: 1 };
  const answer = await awardPoints(away, { ...said, orderId: 'o-3', amount: 10 });
  expect(answer).toMatchObject({ ok: false, reason: 'CAP_TRACKER_UNAVAILABLE' });
  expect(await away.metrics.metrics()).toContain('flash_awards_withheld_total 1');
});

test('the outbox: what has not been delivered, how endpoints are, what came of each attempt', async () => {
  const { programId } = await aProgram(deps, { sandbox: false, clock: null });
  const receiver = await startReceiver();
  const input = { url: receiver.url, enabled: true };
  await createWebhook(deps, { programId, input });
  await aMember(deps, { programId });
  await until(async () => (await number('flash_outbox_lag_seconds')) > 0);
  while (receiver.received.length === 0)
    await runWorker(deps, { programId, task: 'DELIVER_WEBHOOKS' });
  expect(await number('flash_outbox_lag_seconds')).toBe(0);
  expect(await number('flash_webhook_deliveries_total{outcome="delivered"}')).toBe(1);
  expect(await number('flash_webhooks{state="well"}')).toBe(1);
  receiver.answer = () => 500;
  await aMember(deps, { programId });
  while (receiver.received.length === 1)
    await runWorker(deps, { programId, task: 'DELIVER_WEBHOOKS' });
  expect(await number('flash_webhook_deliveries_total{outcome="refused"}')).toBe(1);
  expect(await number('flash_webhooks{state="failing"}')).toBe(1);
  expect(await number('flash_webhook_waiting_events')).toBe(1);
  expect(await number('flash_outbox_lag_seconds')).toBeGreaterThan(0);
  await deps.db.webhook.updateMany({ data: { enabled: false } });
  expect(await number('flash_webhook_waiting_events')).toBe(0);
});

test('a transaction that stays open holds the outbox up, and it shows', async () => {
  const { programId } = await aProgram(deps);
  await deps.db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT pg_current_xact_id()::text`;
    for (let i = 0; i < 3; i++) await aMember(deps, { programId });
    expect(await number('flash_outbox_held_back')).toBeGreaterThanOrEqual(3);
  });
});

test('a line of the log says who asked and whom it was about, by ids alone', async () => {
  let text = '';
  const log = openLog('info', {
    write: (line: string) => {
      text += line;
    },
  });
  const own = await startApi({ ...deps, log });
  const { programId, secretKey } = await aProgram(deps);
  const member = await aMember(deps, { programId });
  const pool = await aPool(deps, { programId, codes: 3 });
  const input = { poolId: pool.id, memberId: member.id, claimKey: 'zebra' };
  const answer = await own.query(secretKey, CLAIM, { input });
  await own.query(undefined, CLAIM, { input });
  await until(async () => text.trim().split('\n').length >= 2);
  const [line, stranger] = text
    .trim()
    .split('\n')
    .map((one) => JSON.parse(one));
  expect(line).toMatchObject({
    msg: 'request',
    requestId: answer.headers.get('x-request-id'),
    route: '/graphql',
    status: 200,
    programId,
    keyId: expect.any(String),
    members: [member.id],
  });
  expect(stranger).toMatchObject({ msg: 'request', status: 401 });
  expect(Object.keys(stranger)).not.toContain('members');
  expect(text).not.toMatch(/zebra|flash_sk/);
});

test('a line of the log has the member whom only the answer names', async () => {
  const lines: { members?: string[] }[] = [];
  const log = openLog('info', { write: (line: string) => void lines.push(JSON.parse(line)) });
  const own = await startApi({ ...deps, log });
  const { programId, secretKey } = await aProgram(deps);
  const externalId = unique('known');
  const { id } = await aMember(deps, { programId, externalId });
  const pool = await aPool(deps, { programId, codes: 1 });
  const claim = { programId, poolId: pool.id, memberId: id, actor: 'key:log' } as const;
  const claimed = await claimCode(deps, claim);
  if (!claimed.ok) throw new Error(claimed.reason);
  const ask = (document: string) => own.data(secretKey, document);
  const order = `code: "${claimed.plaintext}", orderId: "o-1"`;
  await ask(`mutation { upsertMember(input: { externalId: "${externalId}" }) { id } }`);
  await ask(`{ member(externalId: "${externalId}") { id } }`);
  await ask(`{ events(memberId: "${id}") { nodes { id } } }`);
  await ask(`mutation { createMemberToken(memberId: "${id}") }`);
  await ask(`mutation { reserveCode(input: { ${order} }) { __typename } }`);
  const { redeemCode } = await ask(`mutation { redeemCode(input: { ${order}, orderAmount: 10 }) {
    ... on RedeemCodeSuccess { redemption { id } } } }`);
  await ask(`mutation { voidRedemption(id: "${redeemCode.redemption.id}", reason: "no") { id } }`);
  const bought = 'source: SHOPIFY, orderId: "o-1", amount: 1000';
  await ask(`mutation { awardPoints(input: { memberId: "${id}", ${bought} }) { __typename } }`);
  const { spendPoints } = await ask(`mutation {
    spendPoints(input: { memberId: "${id}", points: 1, idempotencyKey: "s" }) {
      ... on SpendPointsSuccess { spend { id } } } }`);
  const spent = `spendId: "${spendPoints.spend.id}", points: 1, idempotencyKey: "r"`;
  await ask(`mutation { refundSpend(input: { ${spent} }) { id } }`);
  await ask(`mutation { reverseAward(input: { ${bought}, refundId: "r" }) { pending } }`);
  await until(() => lines.length >= 11);
  expect(lines.map(({ members }) => members)).toEqual(Array(11).fill([id]));
});

test('docs/metrics.md lists every number there is', async () => {
  const { programId } = await aProgram(deps);
  const pool = await aPool(deps, { programId, codes: 1 });
  const email = `${unique('doc')}@example.com`;
  await claimCode(deps, { programId, poolId: pool.id, email, actor: 'key:doc' });
  const shown = [...(await scrape()).matchAll(/^# TYPE (flash_\w+) /gm)].map(([, name]) => name);
  const doc = await readFile('docs/metrics.md', 'utf8');
  const listed = [...doc.matchAll(/^\| `(flash_\w+)`/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual(shown.sort());
});
