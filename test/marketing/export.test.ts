import { expect, test, vi } from 'vitest';
import { importCodes } from '../../src/coupons/index.ts';
import { buildServer } from '../../src/graphql/server.ts';
import { parseKeyring } from '../../src/kernel/crypto.ts';
import { readCsv } from '../../src/kernel/csv.ts';
import type { CampaignId } from '../../src/kernel/ids.ts';
import { exportCodes } from '../../src/marketing/index.ts';
import { upsertMember } from '../../src/members/index.ts';
import { createSecretKey, type Scope } from '../../src/programs/index.ts';
import { startApi } from '../support/api.ts';
import { testDeps, testKeys } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { openMailing } from '../support/mailing.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const mailing = await openMailing(deps);
const api = await startApi(deps);
const { programId } = mailing;

const keyWith = async (...scopes: Scope[]) =>
  createSecretKey(deps, { caller: { kind: 'root' }, programId, name: null, scopes });
const { key, secretKey } = await keyWith('CODES_REVEAL');

const fetchCodes = (id: string, credential?: string, method = 'GET') =>
  fetch(`${api.url}/campaigns/${id}/codes.csv`, {
    method,
    headers: credential === undefined ? {} : { authorization: `Bearer ${credential}` },
  });

/** The records of the file under its headings. */
async function codesOf(id: string): Promise<Record<string, string>[]> {
  const text = await (await fetchCodes(id, secretKey)).text();
  const [headings = [], ...records] = readCsv(text, 'csv').filter((cells) => cells.length > 1);
  return records.map((cells) =>
    Object.fromEntries(headings.map((name, i) => [name, cells[i] ?? ''])),
  );
}

const address = () => `${unique('reader')}@example.com`;

test('the file has each recipient with the code that a claim hands out, and each is recorded', async () => {
  const pool = await mailing.pool(5);
  const [email, guest] = [address(), address()];
  const ann = await mailing.member({ email, emailVerified: true });
  const { id } = await mailing.create(pool.id, [{ memberId: ann.id }, { email: guest }]);
  await mailing.issue(id);
  const [first, second] = await mailing.recipients(id);
  const records = await codesOf(id);
  const status = 'ALLOCATED';
  expect(records).toMatchObject([
    { email, email_verified: 'true', member_id: ann.id, external_id: ann.externalId, status },
    { email: guest, email_verified: '', member_id: '', external_id: '', status },
  ]);
  expect(records.map((record) => record.recipient_id)).toEqual([first?.id, second?.id]);
  const codeIds = [first?.codeId, second?.codeId] as string[];
  const reveals = await deps.db.codeReveal.findMany({ where: { codeId: { in: codeIds } } });
  expect(reveals.map(({ kind, actor }) => [kind, actor])).toEqual([
    ['EXPORT', `key:${key.id}`],
    ['EXPORT', `key:${key.id}`],
  ]);
  expect((await mailing.code(codeIds[0] as string)).revealedAt).not.toBeNull();
  const claimed = await mailing.claimed(pool.id, { email: guest });
  expect(records[1]?.code).toBe(claimed.plaintext);
});

test('the answer is a download that nothing keeps', async () => {
  const { id } = await mailing.create((await mailing.pool(1)).id);
  const { status, headers } = await fetchCodes(id, secretKey);
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('text/csv; charset=utf-8');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('content-disposition')).toBe(`attachment; filename="campaign-${id}.csv"`);
});

test('no cell is a formula to a spreadsheet, and a code stays one that can be redeemed', async () => {
  const pool = await mailing.draft(0);
  await importCodes(deps, { programId, poolId: pool.id, codes: ['=SUM(1,2)'] });
  await mailing.activate(pool.id);
  const externalId = '@cmd|"x",y';
  const member = await upsertMember(deps, {
    programId,
    input: { externalId, email: '+a@x.example' },
  });
  const { id } = await mailing.create(pool.id, [{ memberId: member.id }]);
  await mailing.issue(id);
  const [record] = await codesOf(id);
  expect(record).toMatchObject({ email: "'+a@x.example", external_id: `'${externalId}` });
  expect(record?.code).toBe(' =SUM(1,2)');
  await mailing.redeemed(record?.code as string, unique('order'));
});

test('a code that was revoked is left out, and one that two recipients share is in both records', async () => {
  const pool = await mailing.pool(5);
  const email = address();
  const ann = await mailing.member({ email, emailVerified: true });
  const list = [{ email }, { memberId: ann.id }, { email: address() }];
  const { id } = await mailing.create(pool.id, list);
  await mailing.issue(id);
  const held = (await mailing.recipients(id)).map(({ codeId }) => codeId as string);
  await mailing.revoke(held[2] as string);
  const records = await codesOf(id);
  expect(records).toHaveLength(2);
  expect(records[0]?.code).toBe(records[1]?.code);
  expect(await deps.db.codeReveal.count({ where: { codeId: held[0] as string } })).toBe(1);
});

test('an address that the owner of its code has left is left out, and its code is not revealed', async () => {
  const pool = await mailing.pool(2);
  const email = address();
  const { id } = await mailing.create(pool.id, [{ email }, { email: address() }]);
  await mailing.issue(id);
  const [left, other] = await mailing.recipients(id);
  const ann = await mailing.member({ email, emailVerified: true });
  const move = (to: string) =>
    upsertMember(deps, {
      programId,
      input: { externalId: ann.externalId, email: to, emailVerified: true },
    });
  await move(address());
  await mailing.member({ email, emailVerified: true });
  expect((await mailing.code(left?.codeId as string)).memberId).toBe(ann.id);
  expect(await codesOf(id)).toMatchObject([{ recipient_id: other?.id }]);
  expect(await deps.db.codeReveal.count({ where: { codeId: left?.codeId as string } })).toBe(0);
  await move(email);
  expect(await codesOf(id)).toMatchObject([{ recipient_id: left?.id, email }, {}]);
});

test('only a secret key with CODES_REVEAL reads it; whoever else asks changes nothing', async () => {
  const pool = await mailing.pool(2);
  const { id } = await mailing.create(pool.id, [{ email: address() }]);
  await mailing.issue(id);
  const others = await keyWith('CAMPAIGNS_READ', 'CAMPAIGNS_WRITE', 'MEMBERS_READ', 'CODES_CLAIM');
  const foreign = await openMailing(deps);
  const { secretKey: theirs } = await createSecretKey(deps, {
    ...{ caller: { kind: 'root' }, programId: foreign.programId, name: null },
    scopes: ['CODES_REVEAL'],
  });
  const asked: [string | undefined, string, number][] = [
    [undefined, id, 401],
    ['nonsense', id, 401],
    [testKeys.FLASH_ROOT_KEY, id, 403],
    [others.secretKey, id, 403],
    [theirs, id, 404],
    [secretKey, pool.id, 404],
    [secretKey, 'nonsense', 404],
  ];
  const reveals = await deps.db.codeReveal.count();
  for (const [credential, campaign, status] of asked) {
    const answer = await fetchCodes(campaign, credential);
    const { errors } = (await answer.json()) as { errors: unknown[] };
    expect([answer.status, errors.length]).toEqual([status, 1]);
  }
  expect((await fetchCodes(id, secretKey, 'HEAD')).status).toBe(404);
  expect(await deps.db.codeReveal.count()).toBe(reveals);
});

test('while codes are being issued the list is not whole, and is not given', async () => {
  const { id } = await mailing.create((await mailing.pool(1)).id, [{ email: address() }]);
  await mailing.begin(id);
  const answer = await unchanged(deps.db, () => fetchCodes(id, secretKey));
  expect(answer.status).toBe(409);
  await mailing.run(id);
  expect(await codesOf(id)).toHaveLength(1);
});

test('a long file comes in pieces, each revealed only when it is asked for', async () => {
  const pool = await mailing.pool(1_200);
  const list = Array.from({ length: 1_200 }, () => ({ email: address() }));
  const { id } = await mailing.create(pool.id, list);
  await mailing.issue(id);
  const revealed = () =>
    deps.db.codeReveal.count({ where: { kind: 'EXPORT', code: { poolId: pool.id } } });
  const campaignId = id as CampaignId;
  const pieces = exportCodes(deps, { programId, campaignId, actor: 'key:test' });
  const seen: number[] = [];
  let text = '';
  for await (const piece of pieces) {
    text += piece;
    seen.push(await revealed());
  }
  expect(seen).toEqual([0, 500, 1_000, 1_200]);
  const records = readCsv(text, 'csv').filter((cells) => cells.length > 1);
  expect(new Set(records.map((cells) => cells[5])).size).toBe(1_201);
});

test('a file that fails after its beginning is cut off, and the log says why', async () => {
  const { id } = await mailing.create((await mailing.pool(1)).id, [{ email: address() }]);
  await mailing.issue(id);
  const { databaseUrl } = deps.config;
  const encryptionKeys = parseKeyring(`other:${Buffer.alloc(32, 9).toString('base64')}`);
  const keyless = await testDeps({ databaseUrl, config: { encryptionKeys } });
  const logged = vi.spyOn(keyless.log, 'error');
  const { url } = await startApi(keyless);
  const answer = await fetch(`${url}/campaigns/${id}/codes.csv`, {
    headers: { authorization: `Bearer ${secretKey}` },
  });
  await expect(answer.text()).rejects.toThrow('terminated');
  const requestId = answer.headers.get('x-request-id');
  expect(logged.mock.calls).toEqual([
    [{ err: expect.any(Error), requestId }, 'a file of codes was cut off'],
  ]);
});

test('for a reader who stops reading nothing more is made than a page or two', async () => {
  const pool = await mailing.pool(3_000);
  const list = Array.from({ length: 3_000 }, () => ({ email: address() }));
  const { id } = await mailing.create(pool.id, list);
  await mailing.issue(id);
  const revealed = () => deps.db.codeReveal.count({ where: { code: { poolId: pool.id } } });
  // Without a socket between, whose buffers take megabytes.
  const app = await buildServer(deps);
  const answer = await app.inject({
    url: `/campaigns/${id}/codes.csv`,
    headers: { authorization: `Bearer ${secretKey}` },
    payloadAsStream: true,
  });
  const lines = answer.stream()[Symbol.asyncIterator]();
  let text = '';
  while (!text.includes('ALLOCATED')) text += (await lines.next()).value;
  await new Promise((resolve) => setTimeout(resolve, 300));
  const made = await revealed();
  expect(made).toBeGreaterThan(0);
  expect(made).toBeLessThanOrEqual(1_500);
  for (let piece = await lines.next(); !piece.done; piece = await lines.next()) text += piece.value;
  expect(text.split('\r\n').filter((line) => line.includes('ALLOCATED'))).toHaveLength(3_000);
  expect(await revealed()).toBe(3_000);
  await app.close();
});
