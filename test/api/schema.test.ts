import { isEnumType, isInputObjectType, isInterfaceType, isObjectType } from 'graphql';
import { expect, test } from 'vitest';
import { buildSchema } from '../../src/graphql/server.ts';
import { type Answer, startApi } from '../support/api.ts';
import { testDeps, testKeys } from '../support/database.ts';
import { aWorld } from '../support/world.ts';

const schema = await buildSchema();
const types = Object.values(schema.getTypeMap()).filter(
  (type) => !type.name.startsWith('__') && type.astNode !== undefined,
);

test('every type, field, argument, input field and enum value says what it is', () => {
  const silent: string[] = [];
  const heard = (name: string, of: { description?: string | null | undefined }) => {
    if (!of.description?.trim()) silent.push(name);
  };
  for (const type of types) {
    heard(type.name, type);
    if (isEnumType(type))
      for (const value of type.getValues()) heard(`${type}.${value.name}`, value);
    if (isInputObjectType(type))
      for (const field of Object.values(type.getFields())) heard(`${type}.${field.name}`, field);
    if (!isObjectType(type) && !isInterfaceType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      heard(`${type}.${field.name}`, field);
      for (const arg of field.args) heard(`${type}.${field.name}(${arg.name})`, arg);
    }
  }
  expect(silent).toEqual([]);
});

test('every field answers: a walk over all that a merchant can see', async () => {
  const deps = await testDeps();
  const api = await startApi(deps);
  const world = await aWorld(deps);
  const tier = 'tier { id rank name qualifyPoints maintainPoints multiplier }';
  const pool = `pool { id name status discountKind discountValue maxDiscount minOrderAmount prefix
    startsAt endsAt perMemberLimit minTier { id } exhaustion fallbackPool { id } maxCodes stackable
    createdAt stats { generated available allocated redeemed revoked } }`;
  const code = `id masked plaintext status ${pool} batch { id count createdAt pool { id } }
    member { id externalId email emailVerified birthday ${tier} } claimEmail allocatedAt redeemedAt
    redemption { id orderId orderAmount discountAmount redeemedAt voidedAt code { id } }
    reservedFor reservedUntil revokedAt`;
  const answer: Answer = await api.query(
    world.secretKey,
    `query ($id: ID!, $pool: ID!, $member: ID!, $text: String!, $order: String!) {
      code(id: $id) { ${code} }
      findCode(code: $text) { id status reservedFor redemption { id } }
      pool(id: $pool) { codes(first: 2) { nodes { ${code} } pageInfo { hasNextPage endCursor } } }
      member(id: $member) { wallet { ${code} } }
      order(orderId: $order) { id orderId discountAmount }
      secretKeys { id name masked scopes createdAt lastUsedAt revokedAt }
    }`,
    {
      id: world.spent.id,
      pool: world.pool.id,
      member: world.member.id,
      text: world.plaintext.toLowerCase().replaceAll('-', ' '),
      order: world.orderId,
    },
  );
  expect(answer.body.errors).toBeUndefined();
  const { data } = answer.body;
  expect(data.code).toMatchObject({
    status: 'REDEEMED',
    redemption: { orderAmount: 5_000, discountAmount: 500, code: { id: world.spent.id } },
    pool: { stats: { generated: 5, allocated: 1, redeemed: 1, available: 3, revoked: 0 } },
    member: { email: world.email, tier: { rank: 1 } },
  });
  expect(data.findCode.id).toBe(world.code.id);
  expect(data.pool.codes.nodes).toHaveLength(2);
  expect(data.member.wallet.map((one: { id: string }) => one.id).sort()).toEqual(
    [world.code.id, world.spent.id].sort(),
  );
  expect(data.order).toEqual([
    { id: world.redemption.id, orderId: world.orderId, discountAmount: 500 },
  ]);
});

test('a created program answers all its fields to the root key', async () => {
  const deps = await testDeps();
  const api = await startApi(deps);
  const { createProgram } = await api.data(
    testKeys.FLASH_ROOT_KEY,
    `mutation { createProgram(input: {
        name: "N", sandbox: true, clock: "2021-05-06T07:08:09.010Z", timeZone: "Europe/Berlin"
        settings: { baseRate: "1.50", pointValue: "0.010000", dailyCap: 9007199254740991 } }) {
      secretKey program { id name currency timeZone sandbox now baseRate minAmount dailyCap
        expiryMonths maturityDays graceDays graceWarningDays reupgradeBonus reupgradeWindowMonths
        birthdayBonus reengagementBonus inactiveDays pointValue spendOrder maxDiscountRate
        maxBackdateDays tiers { id rank name qualifyPoints maintainPoints multiplier } } } }`,
  );
  expect(createProgram.program).toMatchObject({
    currency: 'USD',
    now: '2021-05-06T07:08:09.010Z',
    baseRate: '1.5',
    pointValue: '0.01',
    dailyCap: Number.MAX_SAFE_INTEGER,
    tiers: [{ rank: 1 }, { rank: 2 }, { rank: 3 }, { rank: 4 }],
  });
});
