import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { buildServer } from '../../src/graphql/server.ts';
import { post, startApi } from '../support/api.ts';
import { testDatabase, testDeps } from '../support/database.ts';
import { aWorld } from '../support/world.ts';

const databaseUrl = await testDatabase();
const deps = await testDeps({ databaseUrl });
const api = await startApi(deps);
const { secretKey, pool } = await aWorld(deps);

const ask = JSON.stringify({ query: '{ program { id } }' });

test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
  'a POST of %s, which a browser sends without asking, is refused',
  async (type) => {
    const answer = await post(api.url, { credential: secretKey, body: ask, type });
    expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([
      415,
      'BAD_USER_INPUT',
    ]);
  },
);

test.each([
  ['no JSON', '{"query": zebra'],
  ['an empty one', ''],
  ['a list of requests', `[${ask}, ${ask}]`],
  ['one without a query', '{"operationName": "zebra"}'],
  ['a query that is no text', '{"query": {"zebra": 1}}'],
  ['variables that are no object', '{"query": "{ program { id } }", "variables": "zebra"}'],
  [
    'a persisted query',
    '{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "zebra"}}}',
  ],
  ['a poisoned prototype', '{"query": "{ program { id } }", "__proto__": {"zebra": 1}}'],
])('a body that is %s is bad input', async (_, body) => {
  const answer = await post(api.url, { credential: secretKey, body });
  expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([
    400,
    'BAD_USER_INPUT',
  ]);
  expect(answer.text).not.toContain('zebra');
});

test('without a credential a body is not read, whatever it is', async () => {
  for (const body of [ask, 'nonsense', '', `{"query": "${'x'.repeat(3_000_000)}"}`]) {
    const answer = await post(api.url, { body }).catch(() => undefined);
    // A server that answers before it has read may cut the sender off.
    if (answer) expect(answer.status).toBe(401);
  }
});

test('every answer carries a request id of its own, and never the one that was sent', async () => {
  const ids = new Set<string>();
  for (const credential of [secretKey, undefined, 'nonsense']) {
    const response = await fetch(`${api.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-request-id': 'mine',
        ...(credential && { authorization: `Bearer ${credential}` }),
      },
      body: ask,
    });
    ids.add(response.headers.get('x-request-id') ?? '');
  }
  expect(ids.size).toBe(3);
  expect(ids).not.toContain('mine');
  expect(ids).not.toContain('');
});

test('an unknown path is 404, in the same shape', async () => {
  const response = await fetch(`${api.url}/zebra`);
  const text = await response.text();
  expect(response.status).toBe(404);
  expect(JSON.parse(text).errors[0].extensions.code).toBe('NOT_FOUND');
  expect(text).not.toContain('zebra');
});

test('a Host header that is none is the caller’s mistake', async () => {
  const { port } = new URL(api.url);
  const head = [
    'POST /graphql HTTP/1.1',
    'Host: [zebra',
    `Authorization: Bearer ${secretKey}`,
    'Content-Type: application/json',
    `Content-Length: ${ask.length}`,
    'Connection: close',
  ];
  const answer = await new Promise<string>((resolve) => {
    let received = '';
    const socket = connect(Number(port), '127.0.0.1', () =>
      socket.write(`${head.join('\r\n')}\r\n\r\n${ask}`),
    );
    socket.on('data', (chunk) => {
      received += chunk;
    });
    socket.on('close', () => resolve(received));
  });
  expect(answer).toMatch(/^HTTP\/1\.1 (400|200)/);
  expect(answer).not.toContain('zebra');
});

test('health: it lives, and is ready while its database and its Redis answer', async () => {
  expect(await (await fetch(`${api.url}/health/live`)).json()).toEqual({ live: true });
  const ready = await fetch(`${api.url}/health/ready`);
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { ready: true, database: true, redis: true },
  ]);
});

test('health: without Redis it still lives, and is not ready', async () => {
  const alone = await testDeps({ databaseUrl });
  const lonely = await startApi(alone);
  alone.redis.disconnect();
  expect((await fetch(`${lonely.url}/health/live`)).status).toBe(200);
  const ready = await fetch(`${lonely.url}/health/ready`);
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { ready: false, database: true, redis: false },
  ]);
});

test('metrics count root fields, errors and refusals by names of the schema alone', async () => {
  await api.query(secretKey, 'query Zebra { zebra: program { id } }');
  const claim = `mutation { claimCode(input: { poolId: "${pool.id}", email: "g@example.com" }) {
    __typename } zebra: redeemCode(input: { code: "ZEBRA-1", orderId: "o", orderAmount: 1 }) {
    ... on Refusal { reason } } }`;
  await api.query(secretKey, claim);
  await api.query(undefined, '{ me { id } }');
  const text = await (await fetch(`${api.url}/metrics`)).text();
  expect(text).toContain('flash_graphql_operations_total{type="query",field="program"}');
  expect(text).toContain('flash_graphql_operations_total{type="mutation",field="claimCode"}');
  expect(text).toContain('flash_refusals_total{reason="CODE_UNKNOWN"} 1');
  expect(text).toMatch(/flash_graphql_errors_total\{code="UNAUTHENTICATED"\} \d/);
  expect(text).toContain('flash_graphql_request_seconds_count{type="mutation",field="several"} 1');
  expect(text).not.toMatch(/zebra/i);
});

test('metrics are for this machine, and not for those whom a proxy here speaks for', async () => {
  const forwarded = { 'x-forwarded-for': '127.0.0.1' };
  expect((await fetch(`${api.url}/metrics`)).status).toBe(200);
  expect((await fetch(`${api.url}/metrics`, { headers: forwarded })).status).toBe(403);
  const app = await buildServer(deps);
  const far = await app.inject({ url: '/metrics', remoteAddress: '192.0.2.1' });
  const near = await app.inject({ url: '/metrics', remoteAddress: '::1' });
  expect([far.statusCode, near.statusCode]).toEqual([403, 200]);
  await app.close();
});

test('metrics with a token are for whoever has it, from anywhere', async () => {
  const app = await buildServer({ ...deps, config: { ...deps.config, metricsToken: 'a-token' } });
  const get = (authorization?: string) =>
    app.inject({
      url: '/metrics',
      remoteAddress: '192.0.2.1',
      headers: authorization ? { authorization } : {},
    });
  expect((await get()).statusCode).toBe(403);
  expect((await get('Bearer another')).statusCode).toBe(403);
  expect((await get('Bearer a-token')).statusCode).toBe(200);
  await app.close();
});

test('closing lets a request in flight come to its end', async () => {
  const closing = await startApi(await testDeps({ databaseUrl }));
  const document = `mutation { pausePool(id: "${pool.id}") { status } }`;
  const { slow, closed } = await deps.db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT id::text FROM pools WHERE id = ${pool.id}::uuid FOR UPDATE`;
    const slow = closing.query(secretKey, document);
    await waitForOneWaiting();
    return { slow, closed: closing.close() };
  });
  expect((await slow).body.data).toEqual({ pausePool: { status: 'PAUSED' } });
  await closed;
  await expect(fetch(`${closing.url}/health/live`)).rejects.toThrow();
});

/** Until a statement in this database waits for somebody's lock. */
async function waitForOneWaiting(): Promise<void> {
  for (;;) {
    const waiting = await deps.db.$queryRaw<unknown[]>`
      SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    if (waiting.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
