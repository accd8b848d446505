/** Every change that matters outside is told: by its own transaction, and once. */
import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import {
  activatePool,
  archivePool,
  createPool,
  generateCodes,
  generateCodesJob,
  importCodes,
  pausePool,
  releaseCode,
  reserveCode,
  resumePool,
  revokeCode,
  revokeCodes,
  runCodeJob,
  updatePool,
  voidRedemption,
} from '../../src/coupons/index.ts';
import type {
  CodeId,
  JobId,
  MemberId,
  PoolId,
  RedemptionId,
  SpendId,
} from '../../src/kernel/ids.ts';
import { EVENT_TYPES, type EventType } from '../../src/kernel/outbox.ts';
import { upsertMember } from '../../src/members/index.ts';
import { testDeps } from '../support/database.ts';
import { aMember, poolInput, unique } from '../support/factories.ts';
import { DAY, NOON, openLedger } from '../support/ledger.ts';
import { openMailing } from '../support/mailing.ts';
import { aCampaign, issue } from '../support/recipients.ts';
import { openShop } from '../support/shop.ts';
import { openTiers } from '../support/tiers.ts';

const deps = await testDeps();
const shop = await openShop(deps);
const { programId } = shop;
const ledger = await openLedger(deps, { settings: { expiryMonths: 1 } });
const asker = { kind: 'merchant' } as const;
const FUNCTIONS = 'prisma/functions';

type Told = { type: string; memberId: string | null; data: Record<string, unknown>; xid: bigint };
const told = new Map<string, Set<string>>();

/** The events that the work has written, in their order. */
async function toldBy(program: string, work: () => Promise<unknown>): Promise<Told[]> {
  const last = await deps.db.event.aggregate({ _max: { id: true } });
  await work();
  const events = (await deps.db.event.findMany({
    where: { programId: program, id: { gt: last._max.id ?? 0n } },
    orderBy: { id: 'asc' },
  })) as unknown as Told[];
  for (const { type, data } of events) {
    const fields = told.get(type) ?? new Set();
    for (const name of Object.keys(data)) fields.add(name);
    told.set(type, fields);
  }
  return events;
}

/** Which transaction wrote the row last. */
async function writerOf(table: 'codes' | 'pools' | 'members', of: { program: string; id: string }) {
  const { program, id } = of;
  const rows = {
    codes: () => deps.db.$queryRaw<{ xid: string }[]>`SELECT xmin::text AS xid FROM codes
      WHERE program_id = ${program}::uuid AND id = ${id}::uuid`,
    pools: () => deps.db.$queryRaw<{ xid: string }[]>`SELECT xmin::text AS xid FROM pools
      WHERE program_id = ${program}::uuid AND id = ${id}::uuid`,
    members: () => deps.db.$queryRaw<{ xid: string }[]>`SELECT xmin::text AS xid FROM members
      WHERE program_id = ${program}::uuid AND id = ${id}::uuid`,
  };
  return BigInt((await rows[table]())[0]?.xid ?? 0);
}

type Change = {
  /** Everything that the first call writes. */
  types: EventType[];
  memberId?: string | null;
  /** The row that the change is about, written by the transaction that wrote the events. */
  row: { table: 'codes' | 'pools' | 'members'; id: string };
  work: () => Promise<unknown>;
  /** What a repetition writes, where it is not nothing at all. */
  again?: EventType[] | 'refused';
  program?: string;
};

async function expectTold(change: Change): Promise<Told[]> {
  const { program = programId, row } = change;
  const events = await toldBy(program, change.work);
  expect(events.map(({ type }) => type)).toEqual(change.types);
  for (const event of events) {
    expect(event.memberId).toBe(change.memberId ?? null);
    expect(event.xid).toBe(await writerOf(row.table, { program, id: row.id }));
  }
  const repeated = () =>
    change.again === 'refused' ? change.work().catch(() => {}) : change.work();
  const again = (await toldBy(program, repeated)).map(({ type }) => type);
  expect(again).toEqual(change.again === 'refused' ? [] : (change.again ?? []));
  return events;
}

test('the life of a pool', async () => {
  const key = unique('pool');
  const make = () =>
    createPool(deps, { programId, input: poolInput({ name: 'A' }), idempotencyKey: key });
  const before = await deps.db.pool.count({ where: { programId } });
  const [made] = await toldBy(programId, make);
  const poolId = made?.data.poolId as PoolId;
  expect(made).toMatchObject({ type: 'pool.created', memberId: null });
  expect(await toldBy(programId, make)).toEqual([]);
  expect(await deps.db.pool.count({ where: { programId } })).toBe(before + 1);
  const of = { programId, poolId };
  const row = { table: 'pools', id: poolId } as const;
  const edit = () => updatePool(deps, { ...of, input: poolInput({ name: 'B' }) });
  await expectTold({ types: ['pool.updated'], row, work: edit, again: ['pool.updated'] });
  const generate = () => generateCodes(deps, { ...of, count: 3, idempotencyKey: key });
  const [added] = await toldBy(programId, generate);
  expect(added).toMatchObject({ type: 'pool.codes_added', data: { poolId, count: 3 } });
  expect(await toldBy(programId, generate)).toEqual([]);
  const list = () => importCodes(deps, { ...of, codes: ['IMPORT-1', 'IMPORT-2'] });
  expect(await toldBy(programId, list)).toMatchObject([{ data: { poolId, count: 2 } }]);
  expect(await toldBy(programId, () => list().catch(() => {}))).toEqual([]);
  const job = await generateCodesJob(deps, { ...of, count: 4 });
  const jobId = job.id as JobId;
  const run = (mayGoOn: () => boolean) => runCodeJob(deps, { programId, jobId, mayGoOn });
  const sealed = { type: 'pool.codes_added', data: { poolId, jobId, count: 4 } };
  expect(await toldBy(programId, () => run(() => false))).toEqual([]);
  expect(await toldBy(programId, () => run(() => true))).toMatchObject([sealed]);
  expect(await toldBy(programId, () => run(() => true))).toEqual([]);
  for (const [type, move] of [
    ['pool.activated', activatePool],
    ['pool.paused', pausePool],
    ['pool.resumed', resumePool],
    ['pool.archived', archivePool],
  ] as const)
    await expectTold({ types: [type], row, work: () => move(deps, of), again: 'refused' });
});

test('the life of a code that a member holds', async () => {
  const pool = await shop.pool(2);
  const { id: memberId } = await shop.member();
  const claim = () => shop.claimed(pool.id, { memberId });
  const [claimed] = await toldBy(programId, claim);
  const codeId = claimed?.data.codeId as CodeId;
  expect(claimed).toMatchObject({ type: 'code.claimed', memberId, data: { poolId: pool.id } });
  const row = { table: 'codes', id: codeId } as const;
  expect(claimed?.xid).toBe(await writerOf('codes', { program: programId, id: codeId }));
  expect(await toldBy(programId, claim)).toEqual([]);
  const { plaintext: code } = await claim();
  const change = { row, memberId };
  const reserve = () => reserveCode(deps, { programId, code, orderId: 'o', ttlSeconds: 60, asker });
  await expectTold({
    ...change,
    types: ['code.reserved'],
    work: reserve,
    again: ['code.reserved'],
  });
  const release = () => releaseCode(deps, { programId, code, orderId: 'o', asker });
  await expectTold({ ...change, types: ['code.released'], work: release });
  const redeem = () => shop.redeemed(code, 'o');
  const [redeemed] = await expectTold({ ...change, types: ['code.redeemed'], work: redeem });
  expect(redeemed?.data).toMatchObject({ orderAmount: 10_000, discountAmount: 1_000 });
  const redemptionId = redeemed?.data.redemptionId as RedemptionId;
  const undo = () => voidRedemption(deps, { programId, redemptionId, reason: 'returned' });
  await expectTold({ ...change, types: ['code.redemption_voided'], work: undo });
  const revoke = () => revokeCode(deps, { programId, codeId, reason: 'leaked' });
  await expectTold({ ...change, types: ['code.revoked'], work: revoke });
});

test('many codes at once: revoked and replaced, or given back', async () => {
  const pool = await shop.pool(3);
  const [seen, unseen] = [await shop.member(), await shop.member()];
  const { code } = await shop.claimed(pool.id, { memberId: seen.id });
  const named = { programId, poolId: pool.id, recipients: [{ memberId: unseen.id }] };
  const { recipients } = await aCampaign(deps, named);
  const recipientId = recipients[0] as string;
  const issued = await issue(deps, { programId, poolId: pool.id, recipientId });
  const asked = { programId, poolId: pool.id, reason: 'leaked', replace: true };
  const revoke = () => revokeCodes(deps, { ...asked, idempotencyKey: 'leaked' });
  const events = await toldBy(programId, revoke);
  const { replacedById } = await shop.code(code.id);
  const common = { poolId: pool.id };
  expect(events.map(({ type, memberId, data }) => [type, memberId, data])).toEqual([
    ['code.recycled', unseen.id, { ...common, codeId: issued }],
    ['code.revoked', seen.id, { ...common, codeId: code.id }],
    ['code.replaced', seen.id, { ...common, codeId: code.id, replacedById }],
  ]);
  expect(await toldBy(programId, revoke)).toEqual([]);
});

test('a guest’s code, and a member’s: nobody, then the member, whose address is never told', async () => {
  const pool = await shop.pool(1);
  const asked = await shop.pool(1, { exhaustion: 'FALLBACK', fallbackPoolId: pool.id });
  await shop.claimed(asked.id, { email: `${unique('first')}@example.com` });
  const email = `${unique('guest')}@example.com`;
  const claims = await toldBy(programId, () => shop.claimed(asked.id, { email }));
  expect(claims).toMatchObject([{ memberId: null, data: { askedPoolId: asked.id } }]);
  const codeId = claims[0]?.data.codeId as string;
  const externalId = unique('late');
  const made = await toldBy(programId, () => aMember(deps, { programId, externalId, email }));
  const memberId = made[0]?.memberId as MemberId;
  expect(made).toMatchObject([{ type: 'member.created', data: {} }]);
  const row = { table: 'codes', id: codeId } as const;
  const types: EventType[] = ['member.updated', 'code.bound'];
  const verify = () => shop.verify(externalId, email);
  const [updated] = await expectTold({ types, memberId, row, work: verify });
  expect(updated?.data).toEqual({ changed: ['emailVerified'] });
  const move = { externalId, email: `${unique('new')}@example.com`, birthday: '1990-02-03' };
  const moved = await toldBy(programId, () => upsertMember(deps, { programId, input: move }));
  expect(moved.map(({ data }) => data)).toEqual([
    { changed: ['email', 'emailVerified', 'birthday'] },
  ]);
});

test('everything about points, and their sum is what the member has', async () => {
  const memberId = await ledger.member();
  const program = ledger.programId;
  const change = { program, memberId, row: { table: 'members', id: memberId } } as const;
  const award = (orderId: string, amount: number) => () =>
    ledger.award(memberId, orderId, { amount });
  await expectTold({ ...change, types: ['points.awarded'], work: award('one', 500) });
  const give = () => ledger.grant(memberId, 100, { key: 'gift' });
  await expectTold({ ...change, types: ['points.awarded'], work: give });
  const spend = () => ledger.spend(memberId, 550, 'spend');
  const [spent] = await expectTold({ ...change, types: ['points.spent'], work: spend });
  const spendId = spent?.data.spendId as SpendId;
  const back = () => ledger.reverse('one', 500, { refundId: 'back' });
  const [reversed] = await expectTold({ ...change, types: ['points.reversed'], work: back });
  expect(reversed?.data).toMatchObject({ cancelled: 500, reversed: 50, debt: 450 });
  const types: EventType[] = ['points.awarded', 'points.debt_paid'];
  await expectTold({ ...change, types, work: award('two', 1_000) });
  const refund = () => ledger.refund(spendId, 30, 'first');
  await expectTold({ ...change, types: ['points.refunded'], work: refund });
  await ledger.advance(new Date(NOON.getTime() + 40 * DAY));
  const late = () => ledger.refund(spendId, 20, 'late');
  await expectTold({ ...change, types: ['points.refunded', 'points.expired'], work: late });
  expect(await sumOfEvents(program, memberId)).toBe((await ledger.points(memberId))[3]);
});

test('the way up the ladder and down again', async () => {
  const own = await openTiers(deps, { settings: { reupgradeBonus: 5 } });
  const memberId = await own.member();
  const program = own.programId;
  const change = { program, memberId, row: { table: 'members', id: memberId } } as const;
  const award = (orderId: string, amount: number) => () => own.award(memberId, orderId, { amount });
  const up: EventType[] = ['points.awarded', 'tier.upgraded'];
  await expectTold({ ...change, types: up, work: award('one', 100) });
  const days = [
    ['2022-01-01', 'tier.grace_started'],
    ['2022-01-17', 'tier.grace_warning'],
    ['2022-01-31', 'tier.downgraded'],
  ] as const;
  for (const [day, type] of days)
    await expectTold({ ...change, types: [type], work: () => own.dawn(day) });
  await expectTold({ ...change, types: [...up, 'points.awarded'], work: award('two', 100) });
  await own.reverse('two', 100);
  await toldBy(program, () => own.dawn('2022-02-01'));
  await award('three', 80)();
  const clear = () => own.dawn('2022-02-02');
  const [cleared] = await expectTold({ ...change, types: ['tier.grace_cleared'], work: clear });
  expect(cleared?.data).toMatchObject({ rank: 2, earned12Months: 80, maintainPoints: 80 });
});

/** The formula of docs/events.md. */
async function sumOfEvents(program: string, memberId: string): Promise<number> {
  const signs: Record<string, number> = { awarded: 1, refunded: 1 };
  const events = await deps.db.event.findMany({ where: { programId: program, memberId } });
  return events.reduce((sum, { type, data }) => {
    const { points = 0, reversed } = data as { points?: number; reversed?: number };
    return sum + (signs[type.replace('points.', '')] ?? -1) * (reversed ?? points);
  }, 0);
}

test('a campaign that is through', async () => {
  const mailing = await openMailing(deps, shop);
  const { id } = await mailing.create((await mailing.pool(1)).id, [{ email: 'z@shop.example' }]);
  const events = await toldBy(programId, () => mailing.issue(id));
  expect(events.map(({ type }) => type)).toEqual(['code.claimed', 'campaign.issued']);
  expect(events.at(-1)).toMatchObject({
    memberId: null,
    data: { campaignId: id, recipients: 1, issued: 1 },
  });
  expect(await toldBy(programId, () => mailing.issue(id))).toEqual([]);
});

test('what is rolled back is not told', async () => {
  const pool = await shop.pool(1);
  const { id: memberId } = await shop.member();
  const item = { ord: 0, pool_id: pool.id, member_id: memberId, claim_key: '', actor: 'key:a' };
  const work = () =>
    deps.db.$transaction(async (tx) => {
      await tx.$queryRaw`SELECT ord FROM claim_codes(${programId}::uuid,
      ${JSON.stringify([item])}::jsonb, '{}'::jsonb)`;
      expect(await tx.event.count({ where: { programId, memberId, type: 'code.claimed' } })).toBe(
        1,
      );
      throw new Error('changed its mind');
    });
  expect(await toldBy(programId, () => work().catch(() => {}))).toEqual([]);
});

test('docs/events.md lists every type with its data', async () => {
  const doc = await readFile('docs/events.md', 'utf8');
  const lines = [...doc.matchAll(/^\| `([\w.]+)` \|[^|]*\|([^|]*)\|$/gm)];
  const written = new Map(
    lines.map(([, type, data]) => [type, [...(data ?? '').matchAll(/`(\w+)`/g)].map((m) => m[1])]),
  );
  expect([...written.keys()]).toEqual([...EVENT_TYPES]);
  for (const [type, fields] of told)
    expect([...fields].sort(), type).toEqual(written.get(type)?.sort());
  expect(EVENT_TYPES.filter((type) => !told.has(type))).toEqual([]);
});

test('no function writes an event of a type that is not listed', async () => {
  const files = (await readdir(FUNCTIONS)).filter((file) => file.endsWith('.sql'));
  const texts = await Promise.all(files.map((file) => readFile(`${FUNCTIONS}/${file}`, 'utf8')));
  const types = texts.flatMap(
    (text) => text.match(/'(member|pool|code|points|tier|campaign)\.[a-z_]+'/g) ?? [],
  );
  expect(types.length).toBeGreaterThan(8);
  const unlisted = types.filter((type) => !EVENT_TYPES.includes(type.slice(1, -1) as EventType));
  expect(unlisted).toEqual([]);
});
