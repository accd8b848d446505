/** Endpoints as a merchant makes them, through the API. */
import { expect, test } from 'vitest';
import { parseKeyring } from '../../src/kernel/crypto.ts';
import { resealSecrets } from '../../src/webhooks/index.ts';
import { openSecret } from '../../src/webhooks/secret.ts';
import { startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { aProgram } from '../support/factories.ts';
import { isSigned, startReceiver } from '../support/receiver.ts';
import { unchanged } from '../support/unchanged.ts';
import { openTelling, tellingDeps } from '../support/webhooks.ts';
import { aKey, aWorld } from '../support/world.ts';

const { deps } = await tellingDeps();
const api = await startApi(deps);
const { programId, secretKey } = await aProgram(deps);

const FIELDS = `id url types enabled createdAt failingSince restsUntil cursor
  deadLetters { nodes { id type } pageInfo { hasNextPage endCursor } }`;
const CREATE = `mutation ($input: WebhookInput!) { createWebhook(input: $input) {
  secret webhook { ${FIELDS} } } }`;
const UPDATE = `mutation ($id: ID!, $input: WebhookInput!) {
  updateWebhook(id: $id, input: $input) { ${FIELDS} } }`;
const ROTATE = `mutation ($id: ID!) { rotateWebhookSecret(id: $id) { secret webhook { id } } }`;
const REPLAY = `mutation ($id: ID!, $after: String!) {
  replayWebhook(id: $id, after: $after) { ${FIELDS} } }`;

const create = async (input: object, key = secretKey) =>
  (await api.data(key, CREATE, { input })).createWebhook;

test('made, listed, changed: everything but the secret is told again', async () => {
  const { secret, webhook } = await create({ url: 'https://shop.example/hook?x=1#part' });
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(webhook).toMatchObject({
    url: 'https://shop.example/hook?x=1',
    types: null,
    enabled: true,
    failingSince: null,
    restsUntil: null,
    cursor: expect.stringMatching(/^[0-9a-z]+-0$/),
    deadLetters: { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } },
  });
  const list = await api.query(secretKey, `{ webhooks { ${FIELDS} } }`);
  expect(list.body.data.webhooks).toEqual([webhook]);
  expect(list.text).not.toContain(secret);
  const input = { url: 'https://shop.example/', types: ['code.claimed'], enabled: false };
  const { updateWebhook } = await api.data(secretKey, UPDATE, { id: webhook.id, input });
  expect(updateWebhook).toEqual({ ...webhook, ...input });
});

test('the secret is in the database sealed, bound to its endpoint', async () => {
  const { secret, webhook } = await create({ url: 'https://shop.example/' });
  const other = await create({ url: 'https://shop.example/' });
  const row = await deps.db.webhook.findFirstOrThrow({ where: { id: webhook.id } });
  expect(Buffer.from(row.secret).includes(secret.slice(6))).toBe(false);
  expect(openSecret(deps, row)).toBe(secret);
  expect(() => openSecret(deps, { ...row, id: other.webhook.id })).toThrow();
  expect(() => openSecret(deps, { ...row, programId: webhook.id })).toThrow();
});

test.each([
  ['no URL', 'nonsense', 'input.url'],
  ['another protocol', 'ftp://shop.example/', 'input.url'],
  ['a user', 'https://zebra@shop.example/', 'input.url'],
  ['a password', 'https://:zebra@shop.example/', 'input.url'],
  ['too long', `https://shop.example/${'x'.repeat(2_000)}`, 'input.url'],
  ['no types at all', 'https://shop.example/', 'input.types'],
  ['a type that does not exist', 'https://shop.example/', 'input.types.1'],
])('%s is bad input', async (what, url, field) => {
  const types = /type/.test(what)
    ? { types: /no types/.test(what) ? [] : ['code.claimed', 'zebra'] }
    : {};
  const answer = await unchanged(deps.db, () =>
    api.query(secretKey, CREATE, { input: { url, ...types } }),
  );
  expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([
    400,
    'BAD_USER_INPUT',
  ]);
  expect(answer.body.errors?.[0]?.extensions.field).toBe(field);
  expect(answer.text).not.toContain('zebra');
});

test('a private address is bad input, unless the operator allows it', async () => {
  const strict = await startApi(await testDeps({ databaseUrl: deps.config.databaseUrl }));
  const known = await create({ url: 'https://shop.example/' });
  for (const url of [
    'http://127.0.0.1:1/',
    'http://[::1]/',
    'http://localhost/',
    'http://10.0.0.1/',
  ])
    for (const [document, variables] of [
      [CREATE, { input: { url } }],
      [UPDATE, { id: known.webhook.id, input: { url } }],
    ] as const) {
      const answer = await unchanged(deps.db, () => strict.query(secretKey, document, variables));
      expect(answer.status).toBe(400);
      expect(answer.body.errors?.[0]?.message).toBe(
        'input.url: expected a host with public addresses only',
      );
    }
  const moved = await create({ url: 'http://127.0.0.1:1/' });
  expect(moved.webhook.enabled).toBe(true);
  const off = { id: moved.webhook.id, input: { url: moved.webhook.url, enabled: false } };
  const { updateWebhook } = await strict.data(secretKey, UPDATE, off);
  expect(updateWebhook.enabled).toBe(false);
});

test('the twenty-first is a conflict', async () => {
  const full = await aProgram(deps);
  const input = { url: 'https://shop.example/', enabled: false };
  for (let i = 0; i < 20; i++) await create(input, full.secretKey);
  const answer = await unchanged(deps.db, () => api.query(full.secretKey, CREATE, { input }));
  expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([409, 'CONFLICT']);
});

test('another program’s endpoint is not found, and neither is none', async () => {
  const { webhook } = await create({ url: 'https://shop.example/' });
  const other = await aProgram(deps);
  const input = { url: 'https://evil.example/' };
  for (const id of [webhook.id, programId, 'nonsense'])
    for (const [document, variables] of [
      [UPDATE, { id, input }],
      [ROTATE, { id }],
      [REPLAY, { id, after: '0-0' }],
    ] as const) {
      const answer = await unchanged(deps.db, () =>
        api.query(other.secretKey, document, variables),
      );
      expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([404, 'NOT_FOUND']);
    }
  expect((await api.data(other.secretKey, '{ webhooks { id } }')).webhooks).toEqual([]);
});

test('what is no place in the feed cannot be replayed from', async () => {
  const { webhook } = await create({ url: 'https://shop.example/' });
  for (const after of ['nonsense', '', 'zzzzzzzz-0']) {
    const answer = await unchanged(deps.db, () =>
      api.query(secretKey, REPLAY, { id: webhook.id, after }),
    );
    expect(answer.body.errors?.[0]?.extensions).toMatchObject({ field: 'after' });
  }
  const { replayWebhook } = await api.data(secretKey, REPLAY, { id: webhook.id, after: '5-7' });
  expect(replayWebhook.cursor).toBe('5-7');
});

test('a rest is told until it is over, and whoever asks for a replay ends it', async () => {
  const { webhook } = await create({ url: 'https://shop.example/' });
  const { id } = webhook;
  const rest = async (minutes: number) => {
    const resumeAt = new Date(deps.clock.now().getTime() + minutes * 60_000);
    await deps.db.webhook.updateMany({ where: { id }, data: { resumeAt } });
    const { webhooks } = await api.data(secretKey, '{ webhooks { id restsUntil } }');
    return webhooks.find((one: { id: string }) => one.id === id).restsUntil;
  };
  expect(await rest(-1)).toBeNull();
  expect(await rest(5)).not.toBeNull();
  const { replayWebhook } = await api.data(secretKey, REPLAY, { id, after: webhook.cursor });
  expect(replayWebhook.restsUntil).toBeNull();
  expect(await deps.db.webhook.count({ where: { id, resumeAt: null } })).toBe(1);
});

test('a key that may only read the ledger learns nothing of endpoints', async () => {
  const key = await aKey(deps, { programId, scopes: ['LEDGER_READ'] });
  for (const document of ['{ webhooks { id } }', CREATE]) {
    const answer = await api.query(key.secretKey, document, {
      input: { url: 'https://a.example' },
    });
    expect(answer.status).toBe(403);
  }
});

test('keys are rotated under the secrets, both of an endpoint, and messages stay signed', async () => {
  const receiver = await startReceiver();
  const shop = await openTelling(deps, { receiver, members: 1 });
  const { rotateWebhookSecret } = await api.data(shop.secretKey, ROTATE, { id: shop.webhookId });
  const spare = parseKeyring(`k9:${Buffer.alloc(32, 9).toString('base64')}`);
  const old = deps.config.encryptionKeys;
  const encryptionKeys = { ...spare, all: new Map([...spare.all, ...old.all]) };
  const rotating = { ...deps, config: { ...deps.config, encryptionKeys } };
  expect(await resealSecrets(rotating)).toBeGreaterThan(0);
  expect(await resealSecrets(rotating)).toBe(0);
  const rows = await deps.db.webhook.findMany();
  expect(new Set(rows.map((row) => row.secretKeyId))).toEqual(new Set(['k9']));
  const after = { ...deps, config: { ...deps.config, encryptionKeys: spare } };
  const row = await shop.row();
  expect(row.previousKeyId).toBe('k9');
  expect(openSecret(after, row)).toBe(rotateWebhookSecret.secret);
  const previous = { ...row, secret: row.previousSecret as Uint8Array, secretKeyId: 'k9' };
  expect(openSecret(after, previous)).toBe(shop.secret);
  const { runWorker } = await import('../../src/workers/index.ts');
  await shop.happen();
  while (receiver.received.length === 0)
    await runWorker(after, { programId: shop.programId, task: 'DELIVER_WEBHOOKS' });
  const [message] = receiver.received;
  if (!message) throw new Error('nothing came');
  for (const secret of [shop.secret, rotateWebhookSecret.secret])
    expect(isSigned(message, secret)).toBe(true);
  const back = { ...old, all: encryptionKeys.all };
  await resealSecrets({ ...deps, config: { ...deps.config, encryptionKeys: back } });
});

test('a secret whose key is missing is a failure of that endpoint alone', async () => {
  const receiver = await startReceiver();
  const shop = await openTelling(deps, { receiver, members: 1 });
  await deps.db.webhook.updateMany({
    where: { id: shop.webhookId },
    data: { secretKeyId: 'gone' },
  });
  await shop.happen();
  let run = await shop.deliver();
  while (run.failed === 0) run = await shop.deliver();
  expect(run.failures).toMatchObject([{ task: 'DELIVER_WEBHOOKS', attempts: expect.any(Number) }]);
  expect(receiver.received).toEqual([]);
  await deps.db.webhook.updateMany({ where: { id: shop.webhookId }, data: { secretKeyId: 'k1' } });
  await shop.deliverUntil(() => receiver.received.length === 1);
  const open = { programId: shop.programId, resolvedAt: null };
  expect(await deps.db.workerFailure.count({ where: open })).toBe(0);
});

test('dead letters, page by page', async () => {
  const world = await aWorld(deps);
  const { webhook } = await create({ url: 'https://shop.example/' }, world.secretKey);
  await deps.db.$executeRaw`
    INSERT INTO webhook_deliveries (program_id, webhook_id, event_xid, event_id, member_id,
      attempts, first_tried_at, next_attempt_at, dead_at)
    SELECT program_id, ${webhook.id}::uuid, xid, id, member_id, 9, at, at, at FROM events
    WHERE program_id = ${world.programId}::uuid ORDER BY xid, id LIMIT 5`;
  const page = async (after?: string) => {
    const document = `query ($after: String) { webhooks { deadLetters(first: 2, after: $after) {
      nodes { id type } pageInfo { hasNextPage endCursor } } } }`;
    return (await api.data(world.secretKey, document, { after })).webhooks.at(-1).deadLetters;
  };
  const first = await page();
  const second = await page(first.pageInfo.endCursor);
  const third = await page(second.pageInfo.endCursor);
  const pages = [first, second, third].map((one) => one.nodes.length);
  expect([pages, third.pageInfo.hasNextPage]).toEqual([[2, 2, 1], false]);
});
