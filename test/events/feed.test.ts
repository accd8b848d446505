/** The feed of events as a client reads it, page by page. */
import { expect, test } from 'vitest';
import { grantPoints } from '../../src/loyalty/index.ts';
import { startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { aMember, unique } from '../support/factories.ts';
import { until } from '../support/until.ts';
import { aKey, aWorld } from '../support/world.ts';

const deps = await testDeps();
const api = await startApi(deps);
const world = await aWorld(deps);
const { programId, secretKey } = world;

const QUERY = `query ($after: String, $first: Int, $memberId: ID, $types: [String!]) {
  events(after: $after, first: $first, memberId: $memberId, types: $types) {
    nodes { id type at memberId data } pageInfo { hasNextPage endCursor } } }`;

type Page = {
  nodes: { id: string; type: string; memberId: string | null; data: Record<string, unknown> }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
};
const page = async (of: object = {}): Promise<Page> =>
  (await api.data(secretKey, QUERY, { ...of })).events;

/** Tests that run beside this one hold the feed up while they have a transaction open. */
async function settled(count: number): Promise<Page> {
  for (;;) {
    const found = await page({ first: 200 });
    if (found.nodes.length >= count) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const written = await deps.db.event.count({ where: { programId } });

test('everything from the beginning, in its order, with opaque ids', async () => {
  const { nodes, pageInfo } = await settled(written);
  const rows = await deps.db.event.findMany({
    where: { programId },
    orderBy: [{ xid: 'asc' }, { id: 'asc' }],
  });
  expect(nodes.map(({ type }) => type)).toEqual(rows.map(({ type }) => type));
  expect(nodes.map(({ memberId }) => memberId)).toEqual(rows.map(({ memberId }) => memberId));
  expect(nodes.map(({ data }) => data)).toEqual(rows.map(({ data }) => data));
  expect(pageInfo).toEqual({ hasNextPage: false, endCursor: nodes.at(-1)?.id });
});

test('page by page it is the same, and any event’s id is a place to go on from', async () => {
  const all = (await settled(written)).nodes;
  const found: Page['nodes'] = [];
  let after: string | null = null;
  for (let more = true; more; ) {
    const next: Page = await page({ first: 3, after });
    found.push(...next.nodes);
    after = next.pageInfo.endCursor;
    more = next.pageInfo.hasNextPage;
  }
  expect(found).toEqual(all);
  for (const first of ['0-0', '', null]) expect((await page({ after: first })).nodes).toEqual(all);
  expect((await page({ after: all[4]?.id })).nodes).toEqual(all.slice(5));
  expect(await page({ after })).toEqual({
    nodes: [],
    pageInfo: { hasNextPage: false, endCursor: null },
  });
});

test('of one member, and of some types', async () => {
  const all = (await settled(written)).nodes;
  const mine = await page({ memberId: world.member.id });
  expect(mine.nodes).toEqual(all.filter(({ memberId }) => memberId === world.member.id));
  const types = ['code.claimed', 'pool.activated'];
  const some = await page({ types });
  expect(some.nodes).toEqual(all.filter(({ type }) => types.includes(type)));
  expect(some.pageInfo.endCursor).toBe(all.at(-1)?.id);
  expect((await page({ types, first: 1 })).pageInfo).toEqual({
    hasNextPage: true,
    endCursor: some.nodes[0]?.id,
  });
  expect((await page({ types, memberId: world.member.id })).nodes).toHaveLength(2);
});

test('a rare type among many others: pages that are empty, until it comes', async () => {
  const { id: memberId } = await aMember(deps, { programId });
  await deps.db.$executeRaw`
    INSERT INTO events (program_id, type, member_id, data, at)
    SELECT ${programId}::uuid, 'points.awarded', ${memberId}::uuid, '{}',
      program_now(${programId}::uuid)
    FROM generate_series(1, 2500)`;
  const gift = { points: 1, idempotencyKey: unique('gift'), reason: 'a gift' };
  await deps.db.$executeRaw`
    INSERT INTO events (program_id, type, member_id, data, at)
    VALUES (${programId}::uuid, 'code.revoked', ${memberId}::uuid, '{}',
      program_now(${programId}::uuid))`;
  await grantPoints(deps, { programId, memberId, ...gift });
  await until(async () => {
    const [row] = await deps.db.$queryRaw<{ told: boolean }[]>`
      SELECT events_horizon() > max(xid) AS told FROM events WHERE program_id = ${programId}::uuid`;
    return row?.told;
  });
  const found: Page[] = [];
  let after: string | null | undefined = null;
  while (found.flatMap(({ nodes }) => nodes).length === 0) {
    const next: Page = await page({ types: ['code.revoked'], after });
    found.push(next);
    after = next.pageInfo.endCursor ?? after;
  }
  expect(found.slice(0, 2).map(({ nodes, pageInfo }) => [nodes, pageInfo.hasNextPage])).toEqual([
    [[], true],
    [[], true],
  ]);
});

test.each([
  ['a cursor that is none', { after: 'nonsense' }, 'after'],
  ['an empty cursor', { after: '-' }, 'after'],
  ['a cursor beyond all numbers', { after: 'zzzzzzzzzzzzz-zzzzzzzzzzzzz' }, 'after'],
  ['a page of nothing', { first: 0 }, 'first'],
  ['a page too long', { first: 201 }, 'first'],
  ['no type at all', { types: [] }, 'types'],
  ['a type that does not exist', { types: ['code.claimed', 'code.zebra'] }, 'types.1'],
])('%s is bad input', async (_, variables, field) => {
  const answer = await api.query(secretKey, QUERY, variables);
  expect(answer.status).toBe(400);
  expect(answer.body.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field });
  expect(answer.text).not.toContain('zebra');
});

test('a member of another program is not found', async () => {
  const other = await aWorld(deps);
  const answer = await api.query(secretKey, QUERY, { memberId: other.member.id });
  expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([404, 'NOT_FOUND']);
});

test('another program’s events are not among them, wherever the cursor comes from', async () => {
  const other = await aWorld(deps);
  const { secretKey: key } = await aKey(deps, {
    programId: other.programId,
    scopes: ['LEDGER_READ'],
  });
  const mine = (await settled(written)).nodes;
  const theirs = (await api.data(key, QUERY, { after: mine[0]?.id })).events as Page;
  const ids = new Set(mine.map(({ id }) => id));
  expect(theirs.nodes.filter(({ id }) => ids.has(id))).toEqual([]);
  expect(theirs.nodes.filter(({ memberId }) => memberId === world.member.id)).toEqual([]);
});
