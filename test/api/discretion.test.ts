/** What a client is told of its mistakes: where, and what was expected; never what it sent. */
import { expect, test } from 'vitest';
import { post, startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { aWorld } from '../support/world.ts';

const deps = await testDeps();
const api = await startApi(deps);
const { secretKey, pool } = await aWorld(deps);

const SECRET = 'zebra@example.com';

const literals: [string, string, string][] = [
  [
    'an address',
    `claimCode(input: { poolId: "x", email: "${SECRET} x" })`,
    'input.email: expected EmailAddress',
  ],
  [
    'a number',
    `claimCode(input: { poolId: "x", email: 12345678 })`,
    'input.email: expected EmailAddress',
  ],
  [
    'an enum',
    `createPool(input: { name: "n", discountKind: ZEBRA, discountValue: 1 })`,
    'input.discountKind: expected DiscountKind',
  ],
  ['a whole number', `generateCodes(poolId: "x", count: "zebra")`, 'count: expected Int'],
  [
    'a place in a list',
    `importCodes(poolId: "x", codes: ["a", { zebra: 1 }])`,
    'codes.1: expected String',
  ],
  ['an object', `claimCode(input: "zebra")`, 'input: expected ClaimCodeInput'],
  ['a missing field', `claimCode(input: { claimKey: "zebra" })`, 'input.poolId: expected ID'],
  [
    'an unknown field',
    `claimCode(input: { poolId: "x", zebra: "zebra" })`,
    'input.zebra: expected only fields of ClaimCodeInput',
  ],
  ['a date', `advanceClock(to: "zebra")`, 'to: expected DateTime'],
  [
    'an unsafe number',
    `createPool(input: { name: "n", discountKind: GIFT, discountValue: 98765432109876543210 })`,
    'input.discountValue: expected SafeInt',
  ],
];

test.each(literals)('a literal: %s', async (_, mutation, expected) => {
  const answer = await api.query(secretKey, `mutation { ${mutation} { __typename } }`);
  expect(answer.status).toBe(400);
  const messages = answer.body.errors?.map((error) => error.message);
  expect(messages).toContain(expected);
  expect(answer.body.errors?.[0]?.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
  const withoutName = answer.text.replaceAll('input.zebra', '');
  expect(withoutName).not.toMatch(/zebra|12345678|98765/i);
});

test.each([
  ['an unterminated text', `{ pool(id: "${SECRET}) { id } }`],
  ['a text where a name belongs', `{ "${SECRET}" }`],
  ['a text where nothing belongs', `{ program { id } } "${SECRET}"`],
  ['a character that is none', '{ program { id ❦ } }'],
  ['a broken escape', '{ pool(id: "\\u00zebra") { id } }'],
  ['a name that is a text too many', '{ pool(id: zebra zebra) { id } }'],
])('a syntax error: %s', async (_, document) => {
  const answer = await api.query(secretKey, document);
  expect(answer.status).toBe(400);
  expect(answer.body.errors?.[0]?.extensions.code).toBe('GRAPHQL_PARSE_FAILED');
  expect(answer.text).not.toMatch(/zebra|❦/i);
  expect(answer.body.errors?.[0]?.message).toMatch(/^Syntax Error/);
});

test('a variable: the path and the type, in as many errors as there are mistakes', async () => {
  const answer = await api.query(
    secretKey,
    'mutation ($input: ClaimCodeInput!) { claimCode(input: $input) { __typename } }',
    { input: { email: 'zebra', claimKey: ['zebra'], zebra: 1 } },
  );
  expect(answer.status).toBe(400);
  const { requestId } = answer.body.errors?.[0]?.extensions ?? {};
  expect(requestId).toBe(answer.headers.get('x-request-id'));
  expect(answer.body.errors).toEqual(
    [
      ['input.poolId', 'ID'],
      ['input.email', 'EmailAddress'],
      ['input.claimKey', 'String'],
      ['input', 'only fields of ClaimCodeInput'],
    ].map(([field, expected]) => ({
      message: `${field}: expected ${expected}`,
      extensions: { code: 'BAD_USER_INPUT', field, requestId },
    })),
  );
  expect(answer.text).not.toContain('zebra');
});

test('a variable that is missing, and one that is null in a place that has a default', async () => {
  const missing = await api.query(secretKey, 'query ($id: ID!) { pool(id: $id) { id } }');
  expect(missing.body.errors?.[0]?.message).toBe('id: expected ID');
  expect([missing.status, missing.body.errors?.[0]?.extensions.code]).toEqual([
    400,
    'BAD_USER_INPUT',
  ]);
  const nothing = await api.query(
    secretKey,
    'mutation ($ttl: Int = 5) { createMemberToken(memberId: "x", ttlSeconds: $ttl) }',
    { ttl: null },
  );
  expect([nothing.status, nothing.body.errors?.[0]?.extensions.code]).toEqual([
    400,
    'BAD_USER_INPUT',
  ]);
  expect(nothing.body.errors?.[0]?.message).toBe('ttlSeconds: expected Int');
});

test('an operation that is not in the document is not repeated', async () => {
  const answer = await post(api.url, {
    credential: secretKey,
    body: JSON.stringify({ query: '{ program { id } }', operationName: 'Zebra' }),
  });
  expect(answer.status).toBe(400);
  expect(answer.body.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  expect(answer.text).not.toContain('Zebra');
});

test.each([0, -1, 201, null])('a page of %s is bad input', async (first) => {
  for (const document of [
    'query ($first: Int) { pools(first: $first) { nodes { id } } }',
    'query ($first: Int) { members(first: $first) { nodes { id } } }',
  ]) {
    const answer = await api.query(secretKey, document, { first });
    expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([
      400,
      'BAD_USER_INPUT',
    ]);
    expect(answer.body.errors?.[0]?.message).toBe('first: expected a number from 1 to 200');
  }
});

test('a cursor that none of ours is bad input', async () => {
  const answer = await api.query(secretKey, '{ pools(after: "zebra") { nodes { id } } }');
  expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([
    400,
    'BAD_USER_INPUT',
  ]);
});

test('texts in any script go in and come out as they are', async () => {
  const name = 'Zoë’s 日本語 🎉 — ½';
  const externalId = 'кот-🐈';
  const document = `mutation ($name: String!, $externalId: String!) {
    createPool(input: { name: $name, discountKind: GIFT, discountValue: 0 }) { name }
    upsertMember(input: { externalId: $externalId }) { externalId } }`;
  const answer = await api.data(secretKey, document, { name, externalId });
  expect(answer).toEqual({ createPool: { name }, upsertMember: { externalId } });
});

test('questions with texts that nothing can have are bad input, or find nothing', async () => {
  const answers = [
    await api.query(secretKey, 'query ($v: String!) { order(orderId: $v) { id } }', { v: 'a\0' }),
    await api.query(secretKey, 'query ($v: String) { members(search: $v) { nodes { id } } }', {
      v: '\0',
    }),
    await api.query(secretKey, 'query ($v: String) { member(externalId: $v) { id } }', {
      v: 'a\0',
    }),
    await api.query(secretKey, 'query ($v: String!) { findCode(code: $v) { id } }', { v: 'a\0' }),
    await api.query(secretKey, '{ member { id } }'),
    await api.query(secretKey, '{ member(id: "x", externalId: "y") { id } }'),
  ];
  for (const answer of answers)
    expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([
      400,
      'BAD_USER_INPUT',
    ]);
  for (const id of ['', '\0', 'zebra', pool.id.slice(1)]) {
    const document =
      'query ($id: ID!) { pool(id: $id) { id } code(id: $id) { id } member(id: $id) { id } }';
    expect(await api.data(secretKey, document, { id })).toEqual({
      pool: null,
      code: null,
      member: null,
    });
  }
});
