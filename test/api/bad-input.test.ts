/** Every input of every mutation made wrong in every way: the right answer, nothing changed. */
import {
  type GraphQLInputField,
  type GraphQLInputType,
  getNamedType,
  getNullableType,
  isInputObjectType,
  isListType,
  isNonNullType,
} from 'graphql';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildSchema } from '../../src/graphql/server.ts';
import { type Answer, startApi, type Variables } from '../support/api.ts';
import { testDeps, testKeys } from '../support/database.ts';
import { documentOf } from '../support/documents.ts';
import { aSpend } from '../support/factories.ts';
import { snapshot } from '../support/snapshot.ts';
import { aWorld } from '../support/world.ts';

const deps = await testDeps();
const api = await startApi(deps);
const schema = await buildSchema();
const world = await aWorld(deps);
const foreign = await aWorld(deps);
const root = testKeys.FLASH_ROOT_KEY;

// Said in every wrong value, and never to come back in an answer.
const MARK = 'Zebra';
const NOBODY = '01890000-0000-7000-8000-000000000000';

const pool = { name: 'P', discountKind: 'AMOUNT', discountValue: 100, exhaustion: 'REFUSE' };
const advice = await api.data(world.secretKey, '{ couponAdvisor { suggestions { id } } }');
const endpoint = { url: 'https://shop.example/', types: ['code.claimed'], enabled: true };
const order = { code: world.plaintext, orderId: 'o-1' };
const tier = { name: 'T', qualifyPoints: 0, maintainPoints: 0, multiplier: 10_000 };
const settings = {
  baseRate: '1.5',
  minAmount: 1,
  dailyCap: 1,
  expiryMonths: 12,
  maturityDays: 1,
  graceDays: 1,
  graceWarningDays: [1],
  reupgradeBonus: 1,
  reupgradeWindowMonths: 1,
  birthdayBonus: 1,
  reengagementBonus: 1,
  inactiveDays: 1,
  pointValue: '0.5',
  spendOrder: 'OLDEST_EARNED',
  maxDiscountRate: 1,
  maxBackdateDays: 1,
};
const program = { name: 'N', currency: 'EUR', timeZone: 'Europe/Berlin', sandbox: true };
const clock = '2021-06-01T00:00:00Z';
const spent = await aSpend(deps, { programId: world.programId, memberId: world.member.id });
const theirSpend = await aSpend(deps, {
  programId: foreign.programId,
  memberId: foreign.member.id,
});

/** What each mutation accepts; every test changes one thing of it. */
const valid: Record<string, Variables> = {
  // First: what is done below changes what may be offered.
  adoptSuggestion: { id: advice.couponAdvisor.suggestions[0].id },
  createProgram: { input: { ...program, clock, settings, tiers: [tier] } },
  updateProgram: { settings },
  setTiers: { tiers: [tier, { ...tier, qualifyPoints: 5 }] },
  advanceClock: { to: clock },
  createMemberToken: { memberId: world.member.id, ttlSeconds: 60 },
  createSecretKey: { programId: world.programId, name: 'N', scopes: ['POOLS_READ'] },
  revokeSecretKey: { id: world.spare.id },
  createPool: {
    input: {
      ...pool,
      discountKind: 'PERCENT',
      maxDiscount: 5,
      minOrderAmount: 1,
      prefix: 'ABC-',
      startsAt: '2021-01-01T00:00:00Z',
      endsAt: '2022-01-01T00:00:00Z',
      perMemberLimit: 1,
      minTierId: world.member.tierId,
      exhaustion: 'FALLBACK',
      fallbackPoolId: world.pool.id,
      maxCodes: 10,
      stackable: true,
    },
    idempotencyKey: 'k',
  },
  updatePool: { id: world.draft.id, input: { ...pool, perMemberLimit: 1, stackable: false } },
  activatePool: { id: world.draft.id },
  pausePool: { id: world.pool.id },
  resumePool: { id: world.pool.id },
  archivePool: { id: world.pool.id },
  generateCodes: { poolId: world.draft.id, count: 1, idempotencyKey: 'k' },
  importCodes: { poolId: world.draft.id, codes: ['IMPORT-1'], idempotencyKey: 'k' },
  importCsv: { poolId: world.draft.id, csv: 'IMPORT-2', dryRun: false, idempotencyKey: 'k' },
  generateCodesJob: { poolId: world.draft.id, count: 1, idempotencyKey: 'k' },
  cancelCodeJob: { id: world.job.id },
  createCampaign: {
    input: {
      name: 'N',
      poolId: world.pool.id,
      recipients: [{ email: 'a@example.com' }, { memberId: world.member.id }],
      idempotencyKey: 'k',
    },
  },
  addRecipients: {
    campaignId: world.campaign.id,
    recipients: [{ email: 'b@example.com' }, { memberId: world.member.id }],
  },
  addAudience: {
    campaignId: world.campaign.id,
    audience: {
      tierIds: [world.member.tierId],
      purchasedWithinDays: 1,
      notPurchasedForDays: 1,
      minSpent: 1,
      maxSpent: 2,
      withoutCodeOfPool: true,
    },
  },
  issueCampaign: { id: world.campaign.id },
  claimCode: { input: { poolId: world.pool.id, memberId: world.member.id, claimKey: 'k' } },
  reserveCode: { input: { ...order, ttlSeconds: 60, memberId: world.member.id } },
  releaseCode: order,
  redeemCode: { input: { ...order, orderAmount: 100, memberId: world.member.id } },
  voidRedemption: { id: world.redemption.id, reason: 'R' },
  revokeCode: { id: world.code.id, reason: 'R' },
  revokeCodes: {
    input: { poolId: world.draft.id, reason: 'R', replace: false, idempotencyKey: 'k' },
  },
  upsertMember: {
    input: {
      externalId: 'e',
      email: 'e@example.com',
      emailVerified: true,
      birthday: '1990-01-01',
    },
  },
  awardPoints: {
    input: {
      memberId: world.member.id,
      source: 'SHOPIFY',
      orderId: 'o',
      generation: 1,
      amount: 1,
      occurredAt: clock,
    },
  },
  grantPoints: {
    input: {
      memberId: world.member.id,
      points: 1,
      idempotencyKey: 'k',
      reason: 'R',
      expiresAt: '2022-01-01T00:00:00Z',
    },
  },
  spendPoints: {
    input: { memberId: world.member.id, points: 1, idempotencyKey: 'k', reason: 'R' },
  },
  refundSpend: { input: { spendId: spent, points: 1, idempotencyKey: 'k' } },
  reverseAward: {
    input: { source: 'SHOPIFY', orderId: 'o', generation: 1, refundId: 'r', amount: 1 },
  },
  runWorker: { task: 'EXPIRE_POINTS' },
  createWebhook: { input: endpoint },
  updateWebhook: { id: world.webhook.id, input: endpoint },
  rotateWebhookSecret: { id: world.webhook.id },
  replayWebhook: { id: world.webhook.id, after: '5-7' },
};

/** Somebody who owns no code: an answer, not a mistake. */
const anybody = ['reserveCode input.memberId', 'redeemCode input.memberId'];

/** A wrong row of a file is reported by its number, in an answer that imports nothing. */
const reported = ['importCsv csv'];

type Leaf = { path: (string | number)[]; type: GraphQLInputType; value: unknown };

function leavesOf(type: GraphQLInputType, { path, value }: Omit<Leaf, 'type'>): Leaf[] {
  const bare = getNullableType(type);
  const here: Leaf = { path, type, value };
  if (isListType(bare) && Array.isArray(value)) {
    const inner = bare.ofType as GraphQLInputType;
    return [
      here,
      ...value.flatMap((one, i) => leavesOf(inner, { path: [...path, i], value: one })),
    ];
  }
  if (isInputObjectType(bare) && value && typeof value === 'object') {
    const fields = Object.values(bare.getFields()).filter((field) => field.name in value);
    const inside = (field: GraphQLInputField) =>
      leavesOf(field.type, {
        path: [...path, field.name],
        value: (value as Variables)[field.name],
      });
    return [here, ...fields.flatMap(inside)];
  }
  return [here];
}

function withValue(variables: Variables, leaf: Leaf, ...wrong: unknown[]): Variables {
  const copy = structuredClone(variables);
  const parent = leaf.path
    .slice(0, -1)
    .reduce((at, key) => at[key as never], copy as never) as never;
  const key = leaf.path.at(-1) as never;
  if (wrong.length === 0) delete parent[key];
  else (parent as Record<string, unknown>)[key] = wrong[0];
  return copy;
}

const nameOf = (type: GraphQLInputType) => String(getNamedType(type));
const isList = (type: GraphQLInputType) => isListType(getNullableType(type));

/** A value that no variable of this type takes. */
function wrongTyped(type: GraphQLInputType): unknown {
  if (isList(type)) return { [MARK]: 1 };
  const wrong: Record<string, unknown> = {
    String: [MARK],
    ID: [MARK],
    Int: MARK,
    SafeInt: MARK,
    Boolean: MARK,
    DateTime: MARK,
    LocalDate: MARK,
    EmailAddress: MARK,
  };
  return wrong[nameOf(type)] ?? MARK;
}

const TEXTS: Record<string, string> = {
  'a NUL': `${MARK}\0`,
  'a control character': `${MARK}\u0007`,
  'half a surrogate pair': `${MARK}\ud800`,
  'a hundred thousand characters': MARK.repeat(20_000),
};

const NUMBERS: Record<string, number> = {
  negative: -1,
  'beyond 2^53': 2 ** 53 + 2,
  'not whole': 1.5,
};

describe.each(Object.keys(valid))('%s', (name) => {
  const field = schema.getMutationType()?.getFields()[name];
  if (!field) throw new Error(`no mutation ${name}`);
  const document = documentOf({ type: 'mutation', field });
  const credential = name === 'createProgram' ? root : world.secretKey;
  const variables = valid[name] as Variables;
  const leaves = field.args
    .filter((arg) => arg.name in variables)
    .flatMap((arg) => leavesOf(arg.type, { path: [arg.name], value: variables[arg.name] }));

  let before: unknown;
  beforeEach(async () => {
    before = await snapshot(deps.db);
  });
  afterEach(async () => expect(await snapshot(deps.db)).toEqual(before));

  async function refuses(wrong: Variables, expected: { status: number; code: string }) {
    const answer = await api.query(credential, document, wrong);
    const code = answer.body.errors?.[0]?.extensions.code;
    expect({ status: answer.status, code }, answer.text).toEqual(expected);
    expect(answer.text).not.toContain(MARK);
    return answer;
  }

  const bad = { status: 400, code: 'BAD_USER_INPUT' };
  const pathOf = (answer: Answer) => answer.body.errors?.[0]?.extensions.field;

  test('a missing value is named by its path', async () => {
    for (const leaf of leaves.filter((one) => isNonNullType(one.type))) {
      if (typeof leaf.path.at(-1) === 'number') continue; // a shorter list is another list
      if (hasDefault(name, leaf)) continue;
      const answer = await refuses(withValue(variables, leaf), bad);
      expect(pathOf(answer)).toBe(leaf.path.join('.'));
    }
  });

  test('a value of another type is named by its path, with the expected type', async () => {
    for (const leaf of leaves) {
      const answer = await refuses(withValue(variables, leaf, wrongTyped(leaf.type)), bad);
      expect(pathOf(answer)).toContain(leaf.path.join('.'));
    }
  });

  test('null is refused where a value is needed', async () => {
    for (const leaf of leaves.filter((one) => isNonNullType(one.type)))
      await refuses(withValue(variables, leaf, null), bad);
  });

  test.each(Object.entries(TEXTS))('a text with %s is refused', async (_, text) => {
    for (const leaf of leaves) {
      const type = nameOf(leaf.type);
      if (isList(leaf.type) || (type !== 'String' && type !== 'ID')) continue;
      if (reported.includes(`${name} ${leaf.path.join('.')}`)) continue;
      const expected = type === 'ID' ? { status: 404, code: 'NOT_FOUND' } : bad;
      await refuses(withValue(variables, leaf, text), expected);
    }
  });

  test.each(Object.entries(NUMBERS))('a number that is %s is refused', async (_, number) => {
    for (const leaf of leaves) {
      if (isList(leaf.type) || !/Int$/.test(nameOf(leaf.type))) continue;
      await refuses(withValue(variables, leaf, number), bad);
    }
  });

  test('an id of another program, of nothing, or of another kind is NOT_FOUND', async () => {
    const others: Record<string, string> = {
      memberId: foreign.member.id,
      programId: foreign.programId,
      minTierId: foreign.member.tierId,
      fallbackPoolId: foreign.pool.id,
      campaignId: foreign.campaign.id,
    };
    const ofKind: Record<string, string> = {
      revokeSecretKey: foreign.spare.id,
      voidRedemption: foreign.redemption.id,
      revokeCode: foreign.code.id,
      cancelCodeJob: foreign.job.id,
      issueCampaign: foreign.campaign.id,
      refundSpend: theirSpend,
      updateWebhook: foreign.webhook.id,
      rotateWebhookSecret: foreign.webhook.id,
      replayWebhook: foreign.webhook.id,
    };
    for (const leaf of leaves.filter((one) => nameOf(one.type) === 'ID')) {
      const key = String(leaf.path.at(-1));
      if (anybody.includes(`${name} ${leaf.path.join('.')}`)) continue;
      const theirs = others[key] ?? ofKind[name] ?? foreign.pool.id;
      for (const id of [theirs, NOBODY, MARK, ''])
        await refuses(withValue(variables, leaf, id), { status: 404, code: 'NOT_FOUND' });
    }
  });

  test('a field that the input does not have is refused', async () => {
    for (const leaf of leaves) {
      if (isList(leaf.type) || !isInputObjectType(getNullableType(leaf.type))) continue;
      const wrong = { ...(leaf.value as Variables), [MARK]: MARK };
      await refuses(withValue(variables, leaf, wrong), bad);
    }
  });
});

function hasDefault(name: string, leaf: Leaf): boolean {
  let type: GraphQLInputType | undefined;
  let defaulted = false;
  const args = schema.getMutationType()?.getFields()[name]?.args ?? [];
  for (const key of leaf.path) {
    if (typeof key === 'number') {
      type = (getNullableType(type) as unknown as { ofType: GraphQLInputType }).ofType;
      continue;
    }
    const bare = type && getNullableType(type);
    const at = isInputObjectType(bare)
      ? bare.getFields()[key]
      : args.find((arg) => arg.name === key);
    type = at?.type;
    defaulted = at?.defaultValue !== undefined;
  }
  return defaulted;
}

test('every mutation is among them', () => {
  const all = Object.keys(schema.getMutationType()?.getFields() ?? {});
  expect(Object.keys(valid).sort()).toEqual(all.sort());
});

test('what is not wrong is taken: the tests above start from valid variables', async () => {
  const failed: string[] = [];
  for (const [name, variables] of Object.entries(valid)) {
    const field = schema.getMutationType()?.getFields()[name];
    if (!field) continue;
    const credential = name === 'createProgram' ? root : world.secretKey;
    const { status, text } = await api.query(
      credential,
      documentOf({ type: 'mutation', field }),
      variables,
    );
    if (status !== 200) failed.push(`${name}: ${text}`);
  }
  expect(failed.filter((line) => !/"code":"CONFLICT"/.test(line))).toEqual([]);
});
