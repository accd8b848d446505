import { expect, test } from 'vitest';
import { pausePool, resumePool, revokeCodes, walletsOf } from '../../src/coupons/index.ts';
import type { CampaignId } from '../../src/kernel/ids.ts';
import {
  campaignById,
  codesOfRecipients,
  createCampaign,
  listCampaigns,
  listRecipients,
} from '../../src/marketing/index.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { openMailing } from '../support/mailing.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { mistake, unchanged } from '../support/unchanged.ts';
import { until } from '../support/until.ts';

const deps = await testDeps();
const mailing = await openMailing(deps);
const { programId } = mailing;

const address = () => `${unique('reader')}@example.com`;
const eventsOf = async (campaignId: string) =>
  (
    await deps.db.event.findMany({
      where: {
        programId,
        type: 'campaign.issued',
        data: { path: ['campaignId'], equals: campaignId },
      },
      orderBy: [{ xid: 'asc' }, { id: 'asc' }],
    })
  ).map(({ data }) => data as { issued: number });

test('each recipient has a code, which waits unseen in the wallet, and is handed out by a claim', async () => {
  const pool = await mailing.pool(5);
  const ann = await mailing.member({ email: address(), emailVerified: true });
  const guest = address();
  const { id } = await mailing.create(pool.id, [{ memberId: ann.id }, { email: guest }]);
  const issued = await mailing.issue(id);
  expect(issued).toMatchObject({ status: 'ISSUED', recipients: 2, issued: 2 });
  const [first, second] = await mailing.recipients(id);
  const [wallet] = await walletsOf(deps, { programId, ids: [ann.id] });
  expect(wallet?.map((code) => code.id)).toEqual([first?.codeId]);
  const codes = { programId, poolId: pool.id, status: 'ALLOCATED' as const };
  const waiting = await deps.db.code.findMany({ where: codes });
  expect(waiting.map(({ revealedAt }) => revealedAt)).toEqual([null, null]);
  expect(waiting.map(({ recipientId }) => recipientId).sort()).toEqual([first?.id, second?.id]);
  expect(await deps.db.codeReveal.count({ where: { programId, code: codes } })).toBe(0);
  const claimed = await mailing.claimAs(pool.id, second?.id as string);
  expect(claimed.code).toMatchObject({ id: second?.codeId, claimEmail: guest });
  expect((await mailing.claimed(pool.id, { email: guest })).plaintext).toBe(claimed.plaintext);
  expect(await deps.db.codeReveal.count({ where: { programId, code: codes } })).toBe(1);
  expect(await eventsOf(id)).toEqual([
    { campaignId: id, poolId: pool.id, recipients: 2, issued: 2 },
  ]);
});

test('issued twice, and run twice at once, nobody has two codes and nothing is told twice', async () => {
  const pool = await mailing.pool(300);
  const list = Array.from({ length: 250 }, () => ({ email: address() }));
  const { id } = await mailing.create(pool.id, list);
  await mailing.begin(id);
  expect(await mailing.begin(id)).toMatchObject({ status: 'ISSUING' });
  expect(await Promise.all([mailing.run(id), mailing.run(id)])).toEqual([true, true]);
  expect(await mailing.campaign(id)).toMatchObject({ status: 'ISSUED', issued: 250 });
  expect(await mailing.count(pool.id, 'ALLOCATED')).toBe(250);
  const held = (await mailing.recipients(id)).map(({ codeId }) => codeId);
  expect(new Set(held).size).toBe(250);
  expect(await unchanged(deps.db, () => mailing.issue(id))).toMatchObject({ status: 'ISSUED' });
  expect(await eventsOf(id)).toHaveLength(1);
});

test('recipients of one identity share one code, however the campaign names them', async () => {
  const pool = await mailing.pool(5);
  const email = address();
  const ann = await mailing.member({ email, emailVerified: true });
  const list = [{ email }, { memberId: ann.id }, { email: ` ${email.toUpperCase()} ` }];
  const { id } = await mailing.create(pool.id, list);
  expect(await mailing.issue(id)).toMatchObject({ status: 'ISSUED', recipients: 2, issued: 2 });
  const held = (await mailing.recipients(id)).map(({ codeId }) => codeId);
  expect(new Set(held).size).toBe(1);
  expect(await mailing.count(pool.id, 'ALLOCATED')).toBe(1);
});

test.each([1, 3])(
  'who holds a code of the pool keeps that one, at a limit of %d',
  async (limit) => {
    const pool = await mailing.pool(5, { perMemberLimit: limit });
    const [ann, guest] = [await mailing.member(), address()];
    const kept = [
      await mailing.claimed(pool.id, { memberId: ann.id, claimKey: 'a' }),
      await mailing.claimed(pool.id, { email: guest, claimKey: 'b' }),
    ].map(({ code }) => code.id);
    const { id } = await mailing.create(pool.id, [{ memberId: ann.id }, { email: guest }]);
    expect(await mailing.issue(id)).toMatchObject({ status: 'ISSUED', issued: 2 });
    expect((await mailing.recipients(id)).map(({ codeId }) => codeId)).toEqual(kept);
    expect(await mailing.count(pool.id, 'ALLOCATED')).toBe(2);
  },
);

test('who is refused carries the reason, and is tried again by the next run', async () => {
  const pool = await mailing.pool(2);
  const list = Array.from({ length: 3 }, () => ({ email: address() }));
  const { id } = await mailing.create(pool.id, list);
  expect(await mailing.issue(id)).toMatchObject({ status: 'FAILED', issued: 2 });
  const refusals = (await mailing.recipients(id)).map(({ refusal }) => refusal);
  expect(refusals.filter(Boolean)).toEqual(['POOL_EXHAUSTED']);
  await pausePool(deps, { programId, poolId: pool.id });
  expect(await mailing.issue(id)).toMatchObject({ status: 'FAILED', issued: 2 });
  expect((await mailing.recipients(id)).find(({ refusal }) => refusal)).toMatchObject({
    refusal: 'POOL_NOT_ISSUING',
    codeId: null,
  });
  await mailing.grow(pool.id, 1);
  await resumePool(deps, { programId, poolId: pool.id });
  expect(await mailing.issue(id)).toMatchObject({ status: 'ISSUED', issued: 3 });
  expect((await mailing.recipients(id)).map(({ refusal }) => refusal)).toEqual([null, null, null]);
  expect((await eventsOf(id)).map(({ issued }) => issued)).toEqual([2, 2, 3]);
});

test('once everybody who was refused has claimed, the campaign is issued, which is told', async () => {
  const pool = await mailing.pool(1);
  const list = Array.from({ length: 3 }, () => ({ email: address() }));
  const { id } = await mailing.create(pool.id, list);
  await mailing.issue(id);
  await pausePool(deps, { programId, poolId: pool.id });
  await mailing.grow(pool.id, 2);
  await resumePool(deps, { programId, poolId: pool.id });
  for (const { id: refused, codeId } of await mailing.recipients(id))
    if (!codeId) await mailing.claimAs(pool.id, refused);
  expect(await mailing.campaign(id)).toMatchObject({ status: 'ISSUED', issued: 3 });
  const told = { campaignId: id, poolId: pool.id, recipients: 3 };
  expect(await eventsOf(id)).toEqual([
    { ...told, issued: 1 },
    { ...told, issued: 3 },
  ]);
});

test('a pool that tops itself up mints for a campaign, up to its limit', async () => {
  const pool = await mailing.pool(0, { exhaustion: 'TOP_UP', maxCodes: 600 });
  const list = Array.from({ length: 620 }, () => ({ email: address() }));
  const { id } = await mailing.create(pool.id, list);
  expect(await mailing.issue(id)).toMatchObject({ status: 'FAILED', issued: 600 });
  expect(await mailing.count(pool.id, 'ALLOCATED')).toBe(600);
});

test('a run that is cut short goes on where it was, and asks nobody twice who was refused', async () => {
  const pool = await mailing.pool(200);
  const list = Array.from({ length: 400 }, () => ({ email: address() }));
  const { id } = await mailing.create(pool.id, list);
  await mailing.begin(id);
  let chunks = 1;
  expect(await mailing.run(id, () => chunks-- > 0)).toBe(false);
  expect(await mailing.campaign(id)).toMatchObject({ status: 'ISSUING', issued: 160 });
  expect(await mailing.run(id)).toBe(true);
  expect(await mailing.campaign(id)).toMatchObject({
    status: 'FAILED',
    issued: 200,
    issuedUpTo: null,
  });
});

test('once a pause has answered, a run that is under way issues nothing more', async () => {
  const pool = await mailing.pool(2_000);
  const list = Array.from({ length: 2_000 }, () => ({ email: address() }));
  const { id } = await mailing.create(pool.id, list);
  await mailing.begin(id);
  // The last chunk cannot be done: it goes on to be asked for until the pause has answered.
  const [holder] = (await sessions(deps.config.databaseUrl, 1)) as [Session];
  await holder.begin();
  const email = (await mailing.recipients(id)).at(-1)?.email;
  await holder.query('SELECT try_lock_identity($1, $2)', [programId, `email:${email}`]);
  const run = mailing.run(id);
  await until(async () => (await mailing.campaign(id)).issued > 0);
  await pausePool(deps, { programId, poolId: pool.id });
  const issued = await mailing.count(pool.id, 'ALLOCATED');
  await holder.commit();
  expect(await run).toBe(true);
  expect(issued).toBeLessThan(2_000);
  expect(await mailing.count(pool.id, 'ALLOCATED')).toBe(issued);
  expect(await mailing.campaign(id)).toMatchObject({ status: 'FAILED', issued });
  const rest = { campaignId: id, codeId: null, refusal: 'POOL_NOT_ISSUING' };
  expect(await deps.db.campaignRecipient.count({ where: rest })).toBe(2_000 - issued);
});

test('recipients that are added later are given their codes by the next run, or by this one', async () => {
  const pool = await mailing.pool(5);
  const { id } = await mailing.create(pool.id, [{ email: address() }]);
  expect(await mailing.issue(id)).toMatchObject({ status: 'ISSUED' });
  expect(await mailing.add(id, [{ email: address() }])).toMatchObject({
    status: 'DRAFT',
    recipients: 2,
    issued: 1,
  });
  await mailing.begin(id);
  expect(await mailing.add(id, [{ email: address() }])).toMatchObject({ status: 'ISSUING' });
  await mailing.run(id);
  expect(await mailing.campaign(id)).toMatchObject({ status: 'ISSUED', recipients: 3, issued: 3 });
});

test('codes that a revocation takes back unseen are issued anew', async () => {
  const pool = await mailing.pool(5);
  const { id } = await mailing.create(pool.id, [{ email: address() }, { email: address() }]);
  await mailing.issue(id);
  const campaignId = id as CampaignId;
  const of = { programId, campaignId, reason: 'the wrong list', replace: false };
  const first = { ...of, idempotencyKey: unique('key') };
  const done = await revokeCodes(deps, first);
  expect(done).toMatchObject({ recycled: 2, revoked: 0 });
  expect(await mailing.campaign(id)).toMatchObject({ status: 'DRAFT', issued: 0 });
  await mailing.begin(id);
  // What is through is answered again; what it began now would undo itself.
  expect(await unchanged(deps.db, () => revokeCodes(deps, first))).toEqual(done);
  const second = { ...of, idempotencyKey: unique('key') };
  const error = await mistake(deps.db, () => revokeCodes(deps, second));
  expect(error).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('pause') });
  await mailing.run(id);
  expect(await mailing.campaign(id)).toMatchObject({ status: 'ISSUED', issued: 2 });
  expect(await revokeCodes(deps, second)).toEqual(done);
});

test('whose code was recycled after the list was read has none, whoever holds that code now', async () => {
  const pool = await mailing.pool(1);
  const { id } = await mailing.create(pool.id, [{ email: address() }]);
  await mailing.issue(id);
  const listed = await mailing.recipients(id);
  const ids = listed.map((recipient) => recipient.id);
  const codes = () => codesOfRecipients(deps, { programId, ids });
  expect((await codes())[0]?.id).toBe(listed[0]?.codeId);
  const of = { programId, campaignId: id as CampaignId, reason: 'x', replace: false };
  await revokeCodes(deps, { ...of, idempotencyKey: unique('key') });
  const other = await mailing.claimed(pool.id, { email: address() });
  expect(other.code.id).toBe(listed[0]?.codeId);
  expect(await codes()).toEqual([null]);
});

test('a campaign without recipients is issued at once', async () => {
  const { id } = await mailing.create((await mailing.pool(1)).id);
  expect(await mailing.issue(id)).toMatchObject({ status: 'ISSUED', recipients: 0 });
});

test('with one idempotencyKey there is one campaign, and another payload is a conflict', async () => {
  const [pool, key, email] = [await mailing.pool(1), unique('key'), address()];
  const input = { name: 'Spring', poolId: pool.id, recipients: [{ email }], idempotencyKey: key };
  const make = (more = {}) => createCampaign(deps, { programId, input: { ...input, ...more } });
  const [first, second] = await Promise.all([make(), make()]);
  expect(first).toMatchObject({ status: 'DRAFT', recipients: 1, issued: 0 });
  expect(second).toEqual(first);
  for (const other of [{ name: 'Summer' }, { recipients: [] }])
    expect(await mistake(deps.db, () => make(other))).toMatchObject({ code: 'CONFLICT' });
});

test('adding the same list twice, in any order and at once, adds everybody once', async () => {
  const { id } = await mailing.create((await mailing.pool(1)).id);
  const list = Array.from({ length: 50 }, () => ({ email: address() }));
  const lists = [list, list.toReversed(), list, list.toReversed()];
  await Promise.all(lists.map((one) => mailing.add(id, one)));
  expect((await mailing.campaign(id)).recipients).toBe(50);
  expect(await unchanged(deps.db, () => mailing.add(id, list))).toMatchObject({ recipients: 50 });
});

test.each<[string, object, string, string]>([
  ['nobody', {}, 'BAD_USER_INPUT', 'recipients.1'],
  ['both', { email: 'a@b.example', memberId: 'x' }, 'BAD_USER_INPUT', 'recipients.1'],
  ['no id', { memberId: 'x' }, 'NOT_FOUND', 'recipients.1.memberId'],
  ['an unknown member', { memberId: programId }, 'NOT_FOUND', 'recipients.1.memberId'],
])(
  'a recipient that is %s is named by its row, and nobody is added',
  async (_, wrong, code, at) => {
    const { id } = await mailing.create((await mailing.pool(1)).id);
    const list = [{ email: address() }, wrong];
    const error = await mistake(deps.db, () => mailing.add(id, list));
    expect(error).toMatchObject({ code, field: at });
    const made = await mistake(deps.db, () => mailing.create(programId, list));
    expect(made.code).toMatch(/BAD_USER_INPUT|NOT_FOUND/);
  },
);

test('5,000 recipients are one call, and one more is bad input', async () => {
  const { id } = await mailing.create((await mailing.pool(1)).id);
  const list = Array.from({ length: 5_001 }, (_, i) => ({ email: `n${i}@bulk.example` }));
  const error = await mistake(deps.db, () => mailing.add(id, list));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'recipients' });
  expect(await mailing.add(id, list.slice(1))).toMatchObject({ recipients: 5_000 });
});

test('more than a million recipients are a conflict', async () => {
  const { id } = await mailing.create((await mailing.pool(1)).id);
  await deps.db.campaign.updateMany({ where: { programId, id }, data: { recipients: 999_999 } });
  expect(await mailing.add(id, [{ email: address() }])).toMatchObject({ recipients: 1_000_000 });
  const more = () => mailing.add(id, [{ email: address() }]);
  expect(await mistake(deps.db, more)).toMatchObject({ code: 'CONFLICT' });
});

test('campaigns and their recipients are listed a page at a time, and are nobody else’s', async () => {
  const other = await openMailing(deps);
  const pool = await other.pool(1);
  const ids = [];
  for (let i = 0; i < 3; i++) ids.push((await other.create(pool.id)).id);
  const list = (after?: string | null) =>
    listCampaigns(deps, { programId: other.programId, first: 2, after });
  const [first, rest] = [await list(), await list((await list()).pageInfo.endCursor)];
  expect([...first.nodes, ...rest.nodes].map(({ id }) => id)).toEqual(ids);
  expect(rest.pageInfo.hasNextPage).toBe(false);
  const id = ids[0] as string;
  expect(await campaignById(deps, { programId, id })).toBeNull();
  expect(await mistake(deps.db, () => mailing.begin(id))).toMatchObject({ code: 'NOT_FOUND' });
  const foreign = { programId, campaignId: id as CampaignId, first: 5 };
  expect((await listRecipients(deps, foreign)).nodes).toEqual([]);
});
