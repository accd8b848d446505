import { expect, test } from 'vitest';
import { findMember, listMembers, membersByIds } from '../../src/members/index.ts';
import { testDeps } from '../support/database.ts';
import { aMember, aProgram } from '../support/factories.ts';
import { mistake } from '../support/unchanged.ts';

const deps = await testDeps();
const { programId } = await aProgram(deps);
const other = await aProgram(deps);

const names = ['ann', 'anna', 'ANNE', 'bob', 'b_b', '100%', 'b\\b'];
const members: Awaited<ReturnType<typeof aMember>>[] = [];
for (const externalId of names)
  members.push(
    await aMember(deps, {
      programId,
      externalId,
      email: `mail-${members.length}@shop.example`,
    }),
  );
const [ann] = members as [(typeof members)[number]];
const foreign = await aMember(deps, {
  programId: other.programId,
  externalId: 'ann',
  email: 'mail-0@shop.example',
});

const search = async (text: string) => {
  const { nodes } = await listMembers(deps, { programId, first: 200, search: text });
  return nodes.map((member) => member.externalId).sort();
};

test.each([
  ['an', ['ann', 'anna']],
  ['ann', ['ann', 'anna']],
  ['AN', ['ANNE']],
  ['nn', []],
  ['mail-1', ['anna']],
  ['MAIL-1@Shop', ['anna']],
  [' bob ', ['bob']],
  ['shop.example', []],
])('a search for %j finds what begins so', async (text, found) => {
  expect(await search(text)).toEqual(found);
});

test.each([
  ['_', []],
  ['%', []],
  ['b_', ['b_b']],
  ['100%', ['100%']],
  ['b\\', ['b\\b']],
  ['1_', []],
])('what is a wildcard elsewhere is a letter here: %j', async (text, found) => {
  expect(await search(text)).toEqual(found);
});

test('a search for nothing is the whole list', async () => {
  expect(await search('')).toHaveLength(names.length);
  expect(await search('  ')).toHaveLength(names.length);
});

test.each([1, 2, 3, 6, 7, 8])('pages of %d show every member once, in one order', async (first) => {
  const seen: string[] = [];
  let after: string | null = null;
  for (;;) {
    const page: Awaited<ReturnType<typeof listMembers>> = await listMembers(deps, {
      programId,
      first,
      after,
    });
    seen.push(...page.nodes.map((member) => member.id));
    after = page.pageInfo.endCursor;
    if (!page.pageInfo.hasNextPage) break;
    expect(page.nodes).toHaveLength(first);
  }
  expect(seen).toEqual(members.map((member) => member.id).sort());
});

test('a member that joins between two pages is not shown twice, and none is left out', async () => {
  const first = await listMembers(deps, { programId, first: 4 });
  const late = await aMember(deps, { programId, externalId: 'zoe' });
  const rest = await listMembers(deps, { programId, first: 200, after: first.pageInfo.endCursor });
  const ids = [...first.nodes, ...rest.nodes].map((member) => member.id);
  expect(ids).toEqual([...members, late].map((member) => member.id).sort());
  await deps.db.member.delete({ where: { programId_id: { programId, id: late.id } } });
});

test('an empty page has no cursor', async () => {
  const page = await listMembers(deps, { programId, first: 5, search: 'nobody' });
  expect(page).toEqual({ nodes: [], pageInfo: { hasNextPage: false, endCursor: null } });
});

test.each([0, -1, 201, 1.5, Number.NaN])('a page of %d is bad input', async (first) => {
  const error = await mistake(deps.db, () => listMembers(deps, { programId, first }));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'first' });
});

test.each(['x', 'AAAA', '!!!!'])('a cursor that never was one is bad input: %j', async (after) => {
  const error = await mistake(deps.db, () => listMembers(deps, { programId, first: 5, after }));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'after' });
});

test('a member is found by its id, its external id and its address in any case', async () => {
  expect(await findMember(deps, { programId, id: ann.id })).toEqual(ann);
  expect(await findMember(deps, { programId, id: ann.id.toUpperCase() })).toEqual(ann);
  expect(await findMember(deps, { programId, externalId: ' ann ' })).toEqual(ann);
  expect(await findMember(deps, { programId, email: 'Mail-0@SHOP.example' })).toEqual(ann);
});

test('of several with one address the verified one is found, then the oldest', async () => {
  const email = 'shared@shop.example';
  const place = await aProgram(deps);
  const make = (externalId: string, emailVerified = false) =>
    aMember(deps, { programId: place.programId, externalId, email, emailVerified });
  const oldest = await make('first');
  await make('second');
  const find = () => findMember(deps, { programId: place.programId, email });
  expect(await find()).toEqual(oldest);
  const verified = await make('third', true);
  expect(await find()).toEqual(verified);
});

test.each([
  { id: 'nonsense' },
  { id: '0190a5f0-0000-7000-8000-000000000000' },
  { externalId: 'nobody' },
  { email: 'nobody@shop.example' },
])('nobody is found by %j', async (key) => {
  expect(await findMember(deps, { programId, ...key })).toBeNull();
});

test.each([
  {},
  { id: ann.id, externalId: 'ann' },
  { id: null, email: null },
  { externalId: 'ann', email: 'mail-0@shop.example' },
])('a member is asked for by exactly one key: not %j', async (key) => {
  const error = await mistake(deps.db, () => findMember(deps, { programId, ...key }));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'member' });
});

test('a member of another program cannot be found, listed or loaded', async () => {
  expect(await findMember(deps, { programId, id: foreign.id })).toBeNull();
  expect(await findMember(deps, { programId: other.programId, id: ann.id })).toBeNull();
  const { nodes } = await listMembers(deps, { programId: other.programId, first: 200 });
  expect(nodes.map((member) => member.id)).toEqual([foreign.id]);
  expect(await membersByIds(deps, { programId, ids: [foreign.id, ann.id] })).toEqual([null, ann]);
});

test('members are loaded in the order of the ids, null for one that is not there', async () => {
  const ids = [members[3]?.id as string, '0190a5f0-0000-7000-8000-000000000000', ann.id, ann.id];
  expect(await membersByIds(deps, { programId, ids })).toEqual([members[3], null, ann, ann]);
});

test('a cursor of another program shows nothing that is not of this one', async () => {
  const page = await listMembers(deps, { programId: other.programId, first: 1 });
  const rest = await listMembers(deps, { programId, first: 200, after: page.pageInfo.endCursor });
  expect(rest.nodes.every((member) => member.programId === programId)).toBe(true);
});
