import { expect, test } from 'vitest';
import type { ProgramId } from '../../src/kernel/ids.ts';
import { type UpsertMemberInput, upsertMember } from '../../src/members/index.ts';
import { testDeps } from '../support/database.ts';
import { aProgram, unique } from '../support/factories.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const { programId } = await aProgram(deps);

const upsert = (input: UpsertMemberInput, program: ProgramId = programId) =>
  upsertMember(deps, { programId: program, input });

test('a new member stands on the first rank, with what was said and the time of the program', async () => {
  const externalId = unique('customer');
  const member = await upsert({ externalId, email: ' Ann@Shop.EXAMPLE ', birthday: '1990-02-28' });
  const first = await deps.db.tier.findFirstOrThrow({ where: { programId, rank: 1 } });
  expect(member).toMatchObject({
    programId,
    externalId,
    email: 'ann@shop.example',
    emailVerified: false,
    birthday: new Date('1990-02-28T00:00:00Z'),
    tierId: first.id,
    createdAt: new Date('2021-01-01T12:00:00Z'),
  });
});

test('the same call again answers the same member and changes nothing', async () => {
  const input = { externalId: unique('customer'), email: 'bo@shop.example', emailVerified: true };
  const first = await upsert(input);
  expect(await unchanged(deps.db, () => upsert(input))).toEqual(first);
});

test('twenty calls for one new customer at once make one member', async () => {
  const input = { externalId: unique('customer'), email: 'cleo@shop.example' };
  const members = await Promise.all(Array.from({ length: 20 }, () => upsert(input)));
  expect(new Set(members.map((member) => member.id)).size).toBe(1);
  expect(await deps.db.member.count({ where: { programId, ...input } })).toBe(1);
});

test('of calls that disagree about an address each is answered with its own, and the last stays', async () => {
  const externalId = unique('customer');
  const emails = ['one@shop.example', 'two@shop.example', 'three@shop.example'];
  const members = await Promise.all(emails.map((email) => upsert({ externalId, email })));
  expect(members.map((member) => member.email)).toEqual(emails);
  expect(new Set(members.map((member) => member.id)).size).toBe(1);
  const [stored, ...others] = await deps.db.member.findMany({ where: { programId, externalId } });
  expect(others).toEqual([]);
  expect(emails).toContain(stored?.email);
});

test('an external id is another member in another program', async () => {
  const other = await aProgram(deps);
  const externalId = unique('customer');
  const here = await upsert({ externalId });
  const there = await upsert({ externalId }, other.programId);
  expect(there.id).not.toBe(here.id);
  expect(there.programId).toBe(other.programId);
});

test('two customers may have one address', async () => {
  const email = 'family@shop.example';
  const [a, b] = [
    await upsert({ externalId: unique('customer'), email, emailVerified: true }),
    await upsert({ externalId: unique('customer'), email, emailVerified: true }),
  ];
  expect(a.id).not.toBe(b.id);
  expect([a.emailVerified, b.emailVerified]).toEqual([true, true]);
});

const verified = { email: 'old@shop.example', emailVerified: true };
const unverified = { email: 'old@shop.example', emailVerified: false };
const none = { email: null, emailVerified: false };

test.each<[string, object, object, object]>([
  ['left out, it is kept as it is', verified, {}, verified],
  ['left out, it can be verified', unverified, { emailVerified: true }, verified],
  ['left out, it can lose its verification', verified, { emailVerified: false }, unverified],
  ['said again, it stays verified', verified, { email: 'old@shop.example' }, verified],
  ['said in another case, it stays verified', verified, { email: 'OLD@Shop.example ' }, verified],
  [
    'changed, it is unverified',
    verified,
    { email: 'new@shop.example' },
    { email: 'new@shop.example', emailVerified: false },
  ],
  [
    'changed and said to be verified, it is',
    verified,
    { email: 'new@shop.example', emailVerified: true },
    { email: 'new@shop.example', emailVerified: true },
  ],
  ['null, it is removed with its verification', verified, { email: null }, none],
  ['null where there is none, nothing changes', none, { email: null }, none],
  [
    'removed and said to be unverified, it is',
    verified,
    { email: null, emailVerified: false },
    none,
  ],
])('of an address: %s', async (_, before, change, expected) => {
  const externalId = unique('customer');
  await upsert({ externalId, birthday: '1990-02-28', ...before });
  const { email, emailVerified, birthday } = await upsert({ externalId, ...change });
  expect({ email, emailVerified }).toEqual(expected);
  expect(birthday).toEqual(new Date('1990-02-28T00:00:00Z'));
});

test('a birthday is kept when it is left out, changed when it is said, and removed by null', async () => {
  const externalId = unique('customer');
  await upsert({ externalId, birthday: '2000-02-29', email: 'day@shop.example' });
  expect((await upsert({ externalId })).birthday).toEqual(new Date('2000-02-29T00:00:00Z'));
  expect((await upsert({ externalId, birthday: '1999-12-31' })).birthday).toEqual(
    new Date('1999-12-31T00:00:00Z'),
  );
  const member = await upsert({ externalId, birthday: null });
  expect(member).toMatchObject({ birthday: null, email: 'day@shop.example' });
});

test.each<[string, object]>([
  ['input.externalId', { externalId: '' }],
  ['input.externalId', { externalId: '   ' }],
  ['input.externalId', { externalId: 'a'.repeat(201) }],
  ['input.externalId', { externalId: 'a\u0000b' }],
  ['input.externalId', { externalId: 'a\ud800b' }],
  ['input.email', { email: '' }],
  ['input.email', { email: ' ' }],
  ['input.email', { email: `${'a'.repeat(250)}@b.example` }],
  ['input.email', { email: 'a\u0000@shop.example' }],
  ['input.emailVerified', { emailVerified: true }],
  ['input.emailVerified', { email: null, emailVerified: true }],
  ['input.birthday', { birthday: '1990-02-30' }],
  ['input.birthday', { birthday: '1900-02-29' }],
  ['input.birthday', { birthday: '28.02.1990' }],
  ['input.birthday', { birthday: '1990-02-28T00:00:00Z' }],
])('bad input names %s and writes nothing: %j', async (field, input) => {
  const error = await mistake(deps.db, () => upsert({ externalId: unique('customer'), ...input }));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field });
  expect(error.message).toMatch(new RegExp(`^${field}: expected `));
});

test('an address that is removed cannot be said to be verified in the same call', async () => {
  const externalId = unique('customer');
  await upsert({ externalId, ...verified });
  const error = await mistake(deps.db, () =>
    upsert({ externalId, email: null, emailVerified: true }),
  );
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.emailVerified' });
});
