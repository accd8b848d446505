import { getIntrospectionQuery } from 'graphql';
import { expect, test } from 'vitest';
import { MAX_ALIASES, MAX_BODY_BYTES, MAX_DEPTH, MAX_TOKENS } from '../../src/graphql/limits.ts';
import { post, startApi } from '../support/api.ts';
import { testDeps, testKeys } from '../support/database.ts';
import { aPool } from '../support/factories.ts';
import { snapshot } from '../support/snapshot.ts';
import { aWorld } from '../support/world.ts';

const deps = await testDeps();
const api = await startApi(deps);
const world = await aWorld(deps);
const { secretKey, programId } = world;

const codeOf = async (document: string, variables = {}) => {
  const answer = await api.query(secretKey, document, variables);
  return [answer.status, answer.body.errors?.[0]?.extensions.code];
};
const FINE = [200, undefined];
const INVALID = [400, 'GRAPHQL_VALIDATION_FAILED'];
const repeat = (count: number, one: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => one(i)).join(' ');

test('the introspection of editors passes, for any valid credential', async () => {
  const introspection = getIntrospectionQuery({
    specifiedByUrl: true,
    directiveIsRepeatable: true,
    schemaDescription: true,
    inputValueDeprecation: true,
    oneOf: true,
  });
  for (const credential of [secretKey, world.token, testKeys.FLASH_ROOT_KEY]) {
    const answer = await api.query(credential, introspection);
    expect(answer.status).toBe(200);
    expect(answer.body.data.__schema.types.length).toBeGreaterThan(30);
  }
  expect((await api.query(undefined, introspection)).status).toBe(401);
});

test('fifty claims in one document pass, and each is done', async () => {
  const pool = await aPool(deps, { programId, codes: 50 });
  const claims = repeat(
    50,
    (i) => `c${i}: claimCode(input: { poolId: "${pool.id}", email: "guest${i}@example.com" }) {
      __typename
      ... on ClaimCodeSuccess {
        plaintext alreadyClaimed code { id masked status pool { id name } } }
      ... on Refusal { reason message retryable } }`,
  );
  const data = await api.data(secretKey, `mutation { ${claims} }`);
  const texts = Object.values(data).map((one) => (one as { plaintext: string }).plaintext);
  expect(new Set(texts).size).toBe(50);
});

test(`${MAX_ALIASES} aliases pass, one more does not, and nothing of it is done`, async () => {
  const upsert = (i: number) => `m${i}: upsertMember(input: { externalId: "m${i}" }) { id }`;
  const upserts = (count: number) => `mutation { ${repeat(count, upsert)} }`;
  expect(await codeOf(upserts(MAX_ALIASES))).toEqual(FINE);
  const before = await snapshot(deps.db);
  expect(await codeOf(upserts(MAX_ALIASES + 1))).toEqual(INVALID);
  expect(await snapshot(deps.db)).toEqual(before);
});

test('aliases in a fragment count wherever it is spread', async () => {
  const fragment = `fragment f on Program { ${repeat(60, (i) => `a${i}: id`)} }`;
  expect(await codeOf(`{ program { ...f } } ${fragment}`)).toEqual(FINE);
  expect(await codeOf(`{ program { ...f ...f } } ${fragment}`)).toEqual(INVALID);
});

test(`a depth of ${MAX_DEPTH} passes, one more does not`, async () => {
  const nested = (times: number, leaf: string) =>
    `{ pools(first: 1) { nodes { codes(first: 1) { nodes {
      ${'redemption { code { '.repeat(times)} ${leaf} ${'} } '.repeat(times)} } } } } }`;
  expect(await codeOf(nested(3, 'id'))).toEqual(FINE);
  expect(await codeOf(nested(3, 'pool { id }'))).toEqual(FINE);
  expect(await codeOf(nested(3, 'pool { minTier { id } }'))).toEqual(INVALID);
});

test('pages within pages cost what they may hold, said by literal, variable or default', async () => {
  const pages = (args: string, codes: string) =>
    `${args.includes('$') ? 'query ($p: Int, $c: Int)' : 'query'} {
      pools(${args}) { nodes { id codes(${codes}) { nodes { id masked } } } } }`;
  expect(await codeOf(pages('first: 200', 'first: 200'))).toEqual(INVALID);
  expect(await codeOf(pages('first: $p', 'first: $c'), { p: 200, c: 200 })).toEqual(INVALID);
  expect(await codeOf(pages('first: $p', 'first: $c'), { p: 2, c: 3 })).toEqual(FINE);
  expect(await codeOf(pages('first: 20', 'first: 20'))).toEqual(FINE);
  expect(await codeOf('{ pools { nodes { codes { nodes { id } } } } }')).toEqual(FINE);
});

test('a dashboard fits: 200 pools with all their fields and their numbers', async () => {
  const document = `{ pools(first: 200) { pageInfo { hasNextPage endCursor } nodes {
    id name status discountKind discountValue maxDiscount minOrderAmount prefix startsAt endsAt
    perMemberLimit minTier { id name } exhaustion fallbackPool { id name } maxCodes stackable
    createdAt stats { generated available allocated redeemed revoked } } } }`;
  expect(await codeOf(document)).toEqual(FINE);
});

test('a document of more tokens is not even parsed', async () => {
  const fields = repeat(MAX_TOKENS, () => 'id');
  expect(await codeOf(`{ program { ${fields} } }`)).toEqual([400, 'GRAPHQL_PARSE_FAILED']);
});

test('the largest documents that are parsed are judged, not chewed on for ever', async () => {
  await api.query(secretKey, `{ ${repeat(MAX_TOKENS / 4 - 2, () => 'program { id }')} }`);
  await api.query(secretKey, `{ program { ${repeat(MAX_TOKENS - 10, () => 'id')} } }`);
});

test.each([10, 100, 1_000, 2_000, MAX_TOKENS / 2 - 10])(
  'lists, objects and fields nested %i deep are a mistake of the caller',
  async (depth) => {
    const nested = (open: string, close: string) => open.repeat(depth) + close.repeat(depth);
    for (const document of [
      `{ pool(id: ${nested('[', ']')}) { id } }`,
      `{ pool(id: ${'{a:'.repeat(depth / 2)}1${'}'.repeat(depth / 2)}) { id } }`,
      `{ pools { nodes ${nested('{ a ', '}')} } }`,
      `query ($id: ${'['.repeat(depth)}ID${']'.repeat(depth)}) { pool(id: $id) { id } }`,
    ])
      expect((await codeOf(document))[0]).toBe(400);
    const variables = JSON.parse(`{"id": ${nested('[', ']')}}`);
    expect(await codeOf('query ($id: ID!) { pool(id: $id) { id } }', variables)).toEqual([
      400,
      'BAD_USER_INPUT',
    ]);
  },
);

test('an import of 5,000 codes of 64 characters fits, also when each is escaped', async () => {
  const texts = Array.from({ length: 5_000 }, (_, i) => `${'Ж'.repeat(59)}${10_000 + i}`);
  const { draft } = world;
  const query = `mutation ($poolId: ID!, $codes: [String!]!) {
    importCodes(poolId: $poolId, codes: $codes) { count } }`;
  const escaped = JSON.stringify({ query, variables: { poolId: draft.id, codes: texts } }).replace(
    /Ж/g,
    '\\u0416',
  );
  expect(escaped.length).toBeGreaterThan(1_700_000);
  const answer = await post(api.url, { credential: secretKey, body: escaped });
  expect([answer.status, answer.body]).toEqual([200, { data: { importCodes: { count: 5_000 } } }]);
});

test('a larger body is refused', async () => {
  const body = JSON.stringify({ query: '{ program { id } }', padding: 'x'.repeat(MAX_BODY_BYTES) });
  const answer = await post(api.url, { credential: secretKey, body });
  expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([
    413,
    'BAD_USER_INPUT',
  ]);
});
