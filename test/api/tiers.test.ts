/** Tiers as a client meets them. */
import { beforeAll, expect, test } from 'vitest';
import type { Db } from '../../src/kernel/db.ts';
import type { MemberId } from '../../src/kernel/ids.ts';
import { createMemberToken } from '../../src/programs/index.ts';
import { startApi, type Variables } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { openTiers, type Tiers } from '../support/tiers.ts';
import { aKey } from '../support/world.ts';

const deps = await testDeps();
const api = await startApi(deps);

const FIELDS = `tier { rank name } earned12Months graceEndsAt
  tierHistory(first: $first, after: $after) {
    nodes { id reason at from { id rank name qualifyPoints maintainPoints multiplier } to { rank } }
    pageInfo { hasNextPage endCursor } }`;
const MEMBER = `query ($id: ID!, $first: Int, $after: String) { member(id: $id) { ${FIELDS} } }`;
const ME = `query ($first: Int, $after: String) { me { ${FIELDS} } }`;
const MEMBERS = `query ($first: Int, $after: String, $of: Int) {
  members(first: $of) { nodes { ${FIELDS} } } }`;

let own: Tiers;
let member: MemberId;
let secretKey: string;
beforeAll(async () => {
  own = await openTiers(deps);
  member = await own.member();
  await own.lot(member, 500);
  await own.live('2022-02-03');
  secretKey = (await aKey(deps, { programId: own.programId, scopes: ['MEMBERS_READ'] })).secretKey;
});

const asked = async (variables: Variables = {}, credential = secretKey) => {
  const { status, body } = await api.query(credential, MEMBER, { id: member, ...variables });
  return body.errors ? [status, body.errors[0]?.extensions.code] : body.data.member;
};

test('where a member stands, what counts, how long the grace is, and how it came to this', async () => {
  const [first, , third] = await deps.db.tier.findMany({
    where: { programId: own.programId },
    orderBy: { rank: 'asc' },
  });
  expect(await asked()).toEqual({
    tier: { rank: 2, name: 'Rank 2' },
    earned12Months: 0,
    graceEndsAt: '2022-03-03T00:00:00.000Z',
    tierHistory: {
      nodes: [
        {
          id: expect.stringMatching(/^\d+$/),
          ...{ reason: 'GRACE_OVER', at: '2022-01-31T00:00:00.000Z', to: { rank: 2 } },
          from: {
            ...{ id: third?.id, rank: 3, name: 'Rank 3' },
            ...{ qualifyPoints: 500, maintainPoints: 400, multiplier: 10_000 },
          },
        },
        {
          id: expect.stringMatching(/^\d+$/),
          ...{ reason: 'QUALIFIED', at: '2021-01-01T08:00:00.000Z', to: { rank: 3 } },
          from: {
            ...{ id: first?.id, rank: 1, name: 'Rank 1' },
            ...{ qualifyPoints: 0, maintainPoints: 0, multiplier: 10_000 },
          },
        },
      ],
      pageInfo: { hasNextPage: false, endCursor: expect.any(String) },
    },
  });
});

test('the history comes page by page, newest first', async () => {
  const first = (await asked({ first: 1 })).tierHistory;
  expect(first.nodes).toMatchObject([{ reason: 'GRACE_OVER' }]);
  expect(first.pageInfo.hasNextPage).toBe(true);
  const after = first.pageInfo.endCursor;
  const second = (await asked({ first: 1, after })).tierHistory;
  expect(second.nodes).toMatchObject([{ reason: 'QUALIFIED' }]);
  expect(second.pageInfo.hasNextPage).toBe(false);
  const beyond = (await asked({ after: second.pageInfo.endCursor })).tierHistory;
  expect(beyond).toEqual({ nodes: [], pageInfo: { hasNextPage: false, endCursor: null } });
});

test.each([{ first: 0 }, { first: 201 }, { after: 'nonsense' }, { after: 'YWJj' }])(
  '%j is bad input',
  async (variables) => {
    expect(await asked(variables)).toEqual([400, 'BAD_USER_INPUT']);
  },
);

test('a member token sees its own', async () => {
  const { programId } = own;
  const token = await createMemberToken(deps, { programId, memberId: member, ttlSeconds: 600 });
  expect((await api.query(token, ME)).body.data.me).toEqual(await asked());
});

test('an award answers with the tier that it has reached', async () => {
  const AWARD = `mutation ($input: AwardPointsInput!) { awardPoints(input: $input) {
    ... on AwardPointsSuccess { member { tier { rank } earned12Months graceEndsAt } } } }`;
  const memberId = await own.member();
  const scopes = ['POINTS_AWARD', 'PROGRAM_READ'] as const;
  const key = await aKey(deps, { programId: own.programId, scopes: [...scopes] });
  const input = { memberId, source: 'SHOPIFY', orderId: 'reached', amount: 1_000 };
  const { body } = await api.query(key.secretKey, AWARD, { input });
  expect(body.data.awardPoints.member).toEqual({
    ...{ tier: { rank: 4 }, earned12Months: 1_000, graceEndsAt: null },
  });
});

test('a key that may not read members is told no history', async () => {
  const scopes = ['LEDGER_READ', 'POINTS_AWARD', 'PROGRAM_READ'] as const;
  const { secretKey: other } = await aKey(deps, {
    programId: own.programId,
    scopes: [...scopes],
  });
  expect(await asked({}, other)).toEqual([403, 'FORBIDDEN']);
});

test('a page of members costs as many statements as one of them', async () => {
  for (let n = 0; n < 12; n++) await own.lot(await own.member(), n * 60);
  let statements = 0;
  const db = deps.db.$extends({
    query: {
      $allOperations: ({ args, query }) => {
        statements += 1;
        return query(args);
      },
    },
  }) as unknown as Db;
  const counted = await startApi({ ...deps, db });
  const cost = async (of: number) => {
    statements = 0;
    const { body } = await counted.query(secretKey, MEMBERS, { of });
    expect(body.data.members.nodes).toHaveLength(of);
    return statements;
  };
  await cost(1);
  expect(await cost(12)).toBe(await cost(1));
});
