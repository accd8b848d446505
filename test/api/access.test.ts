import { extendSchema, parse } from 'graphql';
import { describe, expect, test } from 'vitest';
import { Scope } from '../../src/generated/prisma/enums.ts';
import { access, type Rule } from '../../src/graphql/access.ts';
import { guard } from '../../src/graphql/authorise.ts';
import { buildSchema } from '../../src/graphql/server.ts';
import { createSecretKey } from '../../src/programs/index.ts';
import { startApi, type Variables } from '../support/api.ts';
import { testDeps, testKeys } from '../support/database.ts';
import { documentOf, type RootField, variablesOf } from '../support/documents.ts';
import { snapshot } from '../support/snapshot.ts';
import { aKey, aWorld, type World } from '../support/world.ts';

const deps = await testDeps();
const api = await startApi(deps);
const schema = await buildSchema();
const root = testKeys.FLASH_ROOT_KEY;
const world = await aWorld(deps);
const other = await aWorld(deps);
const allScopes = Object.values(Scope);

const rootFields: (RootField & { rule: Rule })[] = (['query', 'mutation'] as const).flatMap(
  (type) => {
    const fields = schema.getRootType(type as never)?.getFields() ?? {};
    const table: Record<string, Rule> = type === 'query' ? access.Query : access.Mutation;
    return Object.values(fields).map((field) => ({ type, field, rule: table[field.name] as Rule }));
  },
);

/** Real ids of `world` under the names that the schema's arguments have. */
function variablesFor(field: RootField['field'], of: World): Variables {
  const ids: Record<string, string> = {
    code: of.code.id,
    revokeCode: of.code.id,
    voidRedemption: of.redemption.id,
    revokeSecretKey: of.spare.id,
    updateWebhook: of.webhook.id,
    rotateWebhookSecret: of.webhook.id,
    replayWebhook: of.webhook.id,
    member: of.member.id,
    codeJob: of.job.id,
    cancelCodeJob: of.job.id,
    campaign: of.campaign.id,
    issueCampaign: of.campaign.id,
  };
  return variablesOf(field, {
    ...(field.name === 'code' || field.args[0]?.name === 'id'
      ? { id: ids[field.name] ?? of.pool.id }
      : {}),
    poolId: of.pool.id,
    orderId: of.orderId,
    code: of.plaintext,
    codes: ['IMPORTED-1'],
    csv: 'IMPORTED-2',
    campaignId: of.campaign.id,
    currency: 'USD',
    timeZone: 'UTC',
    scopes: ['KEYS_WRITE'],
    tiers: [{ name: 'Only', qualifyPoints: 0, maintainPoints: 0, multiplier: 10_000 }],
    memberId: of.member.id,
    url: 'https://shop.example/told',
    after: field.name === 'replayWebhook' ? '5-7' : null,
    ...(field.name === 'createSecretKey' ? { programId: of.programId } : {}),
  });
}

const ask = (credential: string | undefined, one: RootField & { of?: World }) =>
  api.query(credential, documentOf(one), variablesFor(one.field, one.of ?? world));

const codes = (answer: { body: { errors?: { extensions: { code: string } }[] } }) =>
  (answer.body.errors ?? []).map((error) => error.extensions.code);

describe.each(rootFields)('$type $field.name', ({ rule, ...one }) => {
  const { name } = one.field;
  const needed = rule.key === false ? undefined : rule.scopes;

  test('is UNAUTHENTICATED without a credential, and with a malformed one', async () => {
    const before = await snapshot(deps.db);
    const malformed = [
      undefined,
      '',
      'nonsense',
      `${world.secretKey}x`,
      world.secretKey.slice(0, -1),
    ];
    for (const credential of malformed) {
      const answer = await ask(credential, one);
      expect([answer.status, codes(answer)]).toEqual([401, ['UNAUTHENTICATED']]);
    }
    expect(await snapshot(deps.db)).toEqual(before);
  });

  test('is FORBIDDEN to a key that lacks the scope, and says which', async () => {
    if (needed && needed.length === 0) return; // any key may
    const scopes = allScopes.filter((scope) => !needed?.includes(scope));
    const { secretKey } = await aKey(deps, { programId: world.programId, scopes });
    const before = await snapshot(deps.db);
    const answer = await ask(secretKey, one);
    expect([answer.status, codes(answer)]).toEqual([403, ['FORBIDDEN']]);
    const wanted = needed ? needed.join(', ') : 'the root key';
    expect(answer.body.errors?.[0]?.message).toContain(wanted);
    expect(await snapshot(deps.db)).toEqual(before);
  });

  test(`is ${rule.root ? 'open' : 'FORBIDDEN'} to the root key`, async () => {
    const before = await snapshot(deps.db);
    const answer = await ask(root, one);
    if (rule.root) return expect(codes(answer)).toEqual([]);
    expect([answer.status, codes(answer)]).toEqual([403, ['FORBIDDEN']]);
    expect(await snapshot(deps.db)).toEqual(before);
  });

  test(`is ${rule.member ? 'open' : 'FORBIDDEN'} to a member token`, async () => {
    const before = await snapshot(deps.db);
    const answer = await ask(world.token, one);
    if (rule.member) return expect([401, 403]).not.toContain(answer.status);
    expect([answer.status, codes(answer)]).toEqual([403, ['FORBIDDEN']]);
    expect(await snapshot(deps.db)).toEqual(before);
  });

  test('tells a key of another program nothing, and changes nothing there', async () => {
    if (rule.key === false) return;
    const mine = await snapshotOf(world);
    const answer = await ask(other.secretKey, one);
    const secrets = [world.programId, world.pool.id, world.member.id, world.code.id, world.email];
    for (const secret of secrets) expect(answer.text).not.toContain(secret);
    expect([[], ['NOT_FOUND'], ['BAD_USER_INPUT']]).toContainEqual(codes(answer));
    expect(await snapshotOf(world)).toEqual(mine);
  });

  test('is open to a key with just the scope', async () => {
    if (needed === undefined) return;
    const scopes = needed.length > 0 ? needed.slice(0, 1) : (['LEDGER_READ'] as const);
    const { programId } = await aWorld(deps);
    const { secretKey } = await aKey(deps, { programId, scopes: [...scopes] });
    const answer = await ask(secretKey, { ...one, of: { ...world, programId } });
    expect([401, 403]).not.toContain(answer.status);
    expect(codes(answer)).not.toContain('INTERNAL_SERVER_ERROR');
  });

  test('has a rule of its own', () => expect(rule, name).toBeDefined());
});

/** Everything that the API tells about a program. */
async function snapshotOf(of: World) {
  const { programId } = of;
  const all = { where: { programId }, orderBy: { id: 'asc' } } as const;
  return {
    program: await deps.db.program.findUnique({ where: { id: programId } }),
    tiers: await deps.db.tier.findMany(all),
    pools: await deps.db.pool.findMany(all),
    codes: await deps.db.code.findMany(all),
    members: await deps.db.member.findMany(all),
    redemptions: await deps.db.redemption.findMany(all),
    keys: await deps.db.secretKey.findMany({ ...all, omit: { lastUsedAt: true } }),
  };
}

describe('the table of rules', () => {
  test('a field without a rule keeps the server from starting', async () => {
    const more = extendSchema(await buildSchema(), parse('extend type Query { secrets: String }'));
    expect(() => guard(more)).toThrow('Query.secrets has no rule');
  });

  test('the API does not start with a type that nobody has decided about', async () => {
    const more = extendSchema(
      await buildSchema(),
      parse('type Note { text: String } extend type Query { note: Note }'),
    );
    expect(() => guard(more)).toThrow('has no rule');
  });
});

describe('a document is judged as a whole, before any of it is executed', () => {
  test('a claim whose answer asks for what the key may not see does not happen', async () => {
    const { programId } = world;
    const { secretKey } = await aKey(deps, { programId, scopes: ['CODES_CLAIM'] });
    const before = await snapshot(deps.db);
    const answer = await api.query(
      secretKey,
      `mutation ($input: ClaimCodeInput!) {
        claimCode(input: $input) { ... on ClaimCodeSuccess { code { ...secret } } } }
      fragment secret on Code { member { email } }`,
      { input: { poolId: world.pool.id, email: 'guest@example.com' } },
    );
    expect([answer.status, codes(answer)]).toEqual([403, ['FORBIDDEN']]);
    expect(answer.body.errors?.[0]?.message).toContain('MEMBERS_READ');
    expect(await snapshot(deps.db)).toEqual(before);
  });

  test('of several mutations none happens when one is not allowed', async () => {
    const { programId } = await aWorld(deps);
    const { secretKey } = await aKey(deps, { programId, scopes: ['PROGRAM_WRITE'] });
    const before = await snapshot(deps.db);
    const answer = await api.query(
      secretKey,
      `mutation { updateProgram(settings: { graceDays: 1 }) { id }
        upsertMember(input: { externalId: "x" }) { id } }`,
    );
    expect(codes(answer)).toEqual(['FORBIDDEN']);
    expect(await snapshot(deps.db)).toEqual(before);
  });
});

describe('a member token', () => {
  const claim = `mutation ($input: ClaimCodeInput!) { claimCode(input: $input) { __typename
    ... on ClaimCodeSuccess { plaintext alreadyClaimed
      code { id masked plaintext status member { id } pool { name minTier { name } } } } } }`;

  test('sees its own member and the public terms of the program', async () => {
    const answer = await api.query(
      world.token,
      `{ me { id externalId email tier { name } wallet { id masked plaintext pool { name } } }
        program { id name currency timeZone sandbox now baseRate minAmount tiers { rank name } } }`,
    );
    expect(answer.status).toBe(200);
    expect(answer.body.data.me.id).toBe(world.member.id);
    const texts = answer.body.data.me.wallet.map((code: { plaintext: string }) => code.plaintext);
    expect(texts).toContain(world.plaintext);
  });

  test.each([
    '{ program { pointValue } }',
    '{ program { maxDiscountRate } }',
    '{ me { wallet { pool { stats { generated } } } } }',
    '{ me { wallet { pool { codes { nodes { id } } } } } }',
    '{ me { wallet { pool { fallbackPool { id } } } } }',
    '{ me { wallet { batch { id } } } }',
    '{ me { wallet { claimEmail } } }',
  ])('does not see %s', async (document) => {
    const answer = await api.query(world.token, document);
    expect([answer.status, codes(answer)]).toEqual([403, ['FORBIDDEN']]);
  });

  test('claims for itself, named or not', async () => {
    const poolId = world.pool.id;
    for (const memberId of [undefined, null, world.member.id]) {
      const input = { poolId, memberId, claimKey: 'first' };
      const answer = await api.query(world.token, claim, { input });
      expect(answer.status).toBe(200);
      expect(answer.body.data.claimCode.code.member.id).toBe(world.member.id);
    }
  });

  test('of somebody else is FORBIDDEN in every mutation, and changes nothing', async () => {
    const stranger = '01890000-0000-7000-8000-000000000000';
    const before = await snapshot(deps.db);
    for (const memberId of [stranger, other.member.id, 'nonsense']) {
      const order = { code: world.plaintext, orderId: 'o-1', memberId };
      const answers = [
        await api.query(world.token, claim, { input: { poolId: world.pool.id, memberId } }),
        await api.query(
          world.token,
          'mutation ($input: RedeemCodeInput!) { redeemCode(input: $input) { __typename } }',
          { input: { ...order, orderAmount: 1 } },
        ),
        await api.query(
          world.token,
          'mutation ($input: ReserveCodeInput!) { reserveCode(input: $input) { __typename } }',
          { input: order },
        ),
      ];
      for (const answer of answers)
        expect([answer.status, codes(answer)]).toEqual([403, ['FORBIDDEN']]);
    }
    expect(await snapshot(deps.db)).toEqual(before);
  });

  test('claiming for an e-mail address is bad input', async () => {
    const input = { poolId: world.pool.id, email: world.email };
    const answer = await api.query(world.token, claim, { input });
    expect([answer.status, codes(answer)]).toEqual([400, ['BAD_USER_INPUT']]);
    expect(answer.body.errors?.[0]?.extensions.field).toBe('input.email');
  });

  test('me is null for a secret key', async () => {
    expect(await api.data(world.secretKey, '{ me { id } }')).toEqual({ me: null });
  });
});

test('a revoked key is refused from the next request on', async () => {
  const { programId } = world;
  const caller = { kind: 'root' } as const;
  const { key, secretKey } = await createSecretKey(deps, {
    caller,
    programId,
    scopes: ['KEYS_WRITE'],
  });
  const document = 'mutation ($id: ID!) { revokeSecretKey(id: $id) { id revokedAt } }';
  const first = await api.data(secretKey, document, { id: key.id });
  expect(first.revokeSecretKey.revokedAt).not.toBeNull();
  expect((await api.query(secretKey, '{ secretKeys { id } }')).status).toBe(401);
  const again = await api.data(world.secretKey, document, { id: key.id });
  expect(again).toEqual(first);
});
