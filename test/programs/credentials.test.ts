import { base64url, SignJWT } from 'jose';
import { describe, expect, test, vi } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import type { ProgramId, SecretKeyId } from '../../src/kernel/ids.ts';
import {
  authenticate,
  type Caller,
  createMemberToken,
  createSecretKey,
  listSecretKeys,
  maskKey,
  revokeSecretKey,
} from '../../src/programs/index.ts';
import { testDatabase, testDeps, testKeys } from '../support/database.ts';
import { aMember, aProgram } from '../support/factories.ts';
import { aKey } from '../support/world.ts';

const databaseUrl = await testDatabase();
const deps = await testDeps({ databaseUrl });
const root = { kind: 'root' } as const;
const { programId, secretKey } = await aProgram(deps);
const other = await aProgram(deps);
const member = await aMember(deps, { programId });

const enter = (credential: string, by: Deps = deps) => authenticate(by, `Bearer ${credential}`);
const keyCaller = async (text: string) => (await enter(text)) as Extract<Caller, { kind: 'key' }>;
const at = (text: string): Deps => ({ ...deps, clock: { now: () => new Date(text) } });
const UNAUTHENTICATED = { code: 'UNAUTHENTICATED' };

describe('authenticate', () => {
  test('knows the root key, a secret key and a member token', async () => {
    expect(await enter(testKeys.FLASH_ROOT_KEY)).toEqual(root);
    expect(await enter(secretKey)).toMatchObject({ kind: 'key', programId });
    const token = await createMemberToken(deps, { programId, memberId: member.id, ttlSeconds: 60 });
    expect(await enter(token)).toEqual({ kind: 'member', programId, memberId: member.id });
  });

  test('takes the scheme in any case, and spaces around', async () => {
    for (const header of [`bearer ${secretKey}`, `BEARER   ${secretKey} `])
      expect(await authenticate(deps, header)).toMatchObject({ kind: 'key' });
  });

  test('refuses everything else in the same words', async () => {
    const swapped = secretKey.replace(
      programId.replaceAll('-', ''),
      other.programId.replaceAll('-', ''),
    );
    const headers = [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      `Basic ${secretKey}`,
      secretKey,
      'Bearer x.y.z',
      `Bearer ${secretKey}A`,
      `Bearer ${secretKey.slice(0, -1)}`,
      `Bearer ${secretKey.toUpperCase()}`,
      `Bearer ${swapped}`,
      `Bearer ${testKeys.FLASH_ROOT_KEY}x`,
      `Bearer flash_sk_${'0'.repeat(32)}_`,
      `Bearer flash_sk_${'0'.repeat(32)}_${'A'.repeat(43)}`,
      `Bearer ${'x'.repeat(10_000)}`,
    ];
    const messages = new Set<string>();
    for (const header of headers) {
      const error = await authenticate(deps, header).catch((caught: Error) => caught);
      expect(error).toMatchObject(UNAUTHENTICATED);
      messages.add((error as Error).message);
    }
    expect(messages.size).toBe(1);
  });

  test('many requests at once share a few statements, each with its own answer', async () => {
    const keys = await Promise.all(
      Array.from({ length: 20 }, () => aKey(deps, { programId, scopes: ['POOLS_READ'] })),
    );
    const by = { ...deps, db: counting() };
    const found = await Promise.allSettled(
      Array.from({ length: 400 }, (_, i) =>
        i % 40 === 39 ? enter(`${secretKey}x`, by) : enter(keys[i % 20]?.secretKey ?? '', by),
      ),
    );
    for (const [i, outcome] of found.entries()) {
      if (i % 40 === 39) expect(outcome.status).toBe('rejected');
      else expect(outcome).toMatchObject({ value: { keyId: keys[i % 20]?.key.id } });
    }
    expect(by.db.$queryRaw).toHaveBeenCalledTimes(2); // those of the first one, then all the others
  });

  test('revoke, then authenticate, on another process: refused at once', async () => {
    const elsewhere = await testDeps({ databaseUrl });
    for (let round = 0; round < 20; round++) {
      const { key, secretKey: text } = await aKey(deps, { programId, scopes: ['POOLS_READ'] });
      await enter(text, elsewhere);
      const crowd = Array.from({ length: 10 }, () => enter(text, elsewhere).catch(() => undefined));
      await revokeSecretKey(deps, { programId, id: key.id });
      await expect(enter(text, elsewhere)).rejects.toMatchObject(UNAUTHENTICATED);
      await Promise.all(crowd);
    }
  });

  test('a failed look-up is told to all who waited for it, and the next one works', async () => {
    const by = { ...deps, db: counting() };
    const away = new Error('away') as never;
    vi.mocked(by.db.$queryRaw).mockRejectedValueOnce(away).mockRejectedValueOnce(away);
    const asked = [secretKey, secretKey, other.secretKey].map((text) => enter(text, by));
    for (const outcome of await Promise.allSettled(asked))
      expect(outcome).toMatchObject({ status: 'rejected', reason: away });
    expect(await enter(secretKey, by)).toMatchObject({ kind: 'key' });
  });
});

/** The same database, with its raw statements counted. */
function counting(): Deps['db'] {
  const $queryRaw = vi.fn((...call: Parameters<Deps['db']['$queryRaw']>) =>
    deps.db.$queryRaw(...call),
  );
  return new Proxy(deps.db, {
    get: (db, name) => (name === '$queryRaw' ? $queryRaw : Reflect.get(db, name)),
  });
}

describe('lastUsedAt', () => {
  test('is recorded at most once a minute, by real time', async () => {
    const { key, secretKey: text } = await aKey(deps, { programId, scopes: ['POOLS_READ'] });
    const lastUsed = async () =>
      (await deps.db.secretKey.findFirst({ where: { id: key.id } }))?.lastUsedAt?.toISOString();
    expect(await lastUsed()).toBeUndefined();
    const seen: (string | undefined)[] = [];
    for (const now of ['10:00:00', '10:00:59', '10:01:00', '10:01:01', '10:05:00', '09:00:00']) {
      await enter(text, at(`2030-01-01T${now}.000Z`));
      seen.push((await lastUsed())?.slice(11, 19));
    }
    expect(seen).toEqual(['10:00:00', '10:00:00', '10:00:00', '10:01:01', '10:05:00', '10:05:00']);
  });

  test('does not wait for somebody who holds the key’s row', async () => {
    const { key, secretKey: text } = await aKey(deps, { programId, scopes: ['POOLS_READ'] });
    await deps.db.$transaction(async (tx) => {
      await tx.$queryRaw`SELECT id::text FROM secret_keys WHERE id = ${key.id}::uuid FOR UPDATE`;
      expect(await enter(text)).toMatchObject({ kind: 'key' });
    });
  });
});

describe('createSecretKey', () => {
  test('shows the text once; listed it is masked', async () => {
    const { key, secretKey: text } = await createSecretKey(deps, {
      caller: root,
      programId,
      name: 'Till 3',
      scopes: ['CODES_REDEEM', 'CODES_REDEEM'],
    });
    expect(key).toMatchObject({
      name: 'Till 3',
      scopes: ['CODES_REDEEM'],
      lastFour: text.slice(-4),
    });
    expect(maskKey(key)).toBe(`flash_sk_••••${text.slice(-4)}`);
    const listed = await listSecretKeys(deps, { programId });
    expect(listed.map((one) => one.id)).toContain(key.id);
    expect((await keyCaller(text)).scopes).toEqual(new Set(['CODES_REDEEM']));
  });

  test('never gives a scope that the calling key lacks', async () => {
    const { secretKey: text } = await aKey(deps, {
      programId,
      scopes: ['KEYS_WRITE', 'POOLS_READ'],
    });
    const caller = await keyCaller(text);
    await createSecretKey(deps, { caller, scopes: ['POOLS_READ'] });
    await expect(
      createSecretKey(deps, { caller, scopes: ['POOLS_READ', 'MEMBERS_READ'] }),
    ).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining('MEMBERS_READ'),
    });
  });

  test('is for the caller’s own program; another one is not found', async () => {
    const caller = await keyCaller(secretKey);
    const make = (id: string) =>
      createSecretKey(deps, { caller, programId: id, scopes: ['POOLS_READ'] });
    expect((await make(programId)).key.programId).toBe(programId);
    expect((await make(programId.toUpperCase())).key.programId).toBe(programId);
    for (const id of [other.programId, 'nonsense', ''])
      await expect(make(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('with the root key needs a program that exists, and at least one scope', async () => {
    const make = (id: string | null, scopes: ['POOLS_READ'] | []) =>
      createSecretKey(deps, { caller: root, programId: id, scopes });
    await expect(make(null, ['POOLS_READ'])).rejects.toMatchObject({ field: 'programId' });
    await expect(make(member.id, ['POOLS_READ'])).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(make(programId, [])).rejects.toMatchObject({ field: 'scopes' });
  });
});

describe('revokeSecretKey', () => {
  test('twice is the first answer', async () => {
    const { key } = await aKey(deps, { programId, scopes: ['POOLS_READ'] });
    const first = await revokeSecretKey(at('2030-01-01T00:00:00Z'), { programId, id: key.id });
    const again = await revokeSecretKey(at('2031-01-01T00:00:00Z'), { programId, id: key.id });
    expect(first.revokedAt).toEqual(new Date('2030-01-01T00:00:00Z'));
    expect(again).toEqual(first);
  });

  test('a key of another program is not found, and stays in force', async () => {
    const caller = await keyCaller(other.secretKey);
    await expect(
      revokeSecretKey(deps, { programId, id: caller.keyId as SecretKeyId }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await enter(other.secretKey);
  });
});

describe('a member token', () => {
  const claims = { programId, memberId: member.id, ttlSeconds: 60 };
  const secret = deps.config.tokenSecret;
  const forged = (more: { alg?: string; typ?: string; iss?: string; aud?: string; exp?: string }) =>
    new SignJWT({ program: programId })
      .setProtectedHeader({ alg: more.alg ?? 'HS256', typ: more.typ ?? 'flash-member+jwt' })
      .setIssuer(more.iss ?? 'flash')
      .setAudience(more.aud ?? 'flash-storefront')
      .setSubject(member.id)
      .setIssuedAt()
      .setExpirationTime(more.exp ?? '1h')
      .sign(secret);

  test('ends when its time is over, by real time', async () => {
    const token = await createMemberToken(at('2030-01-01T00:00:00Z'), claims);
    expect(await enter(token, at('2030-01-01T00:00:59Z'))).toMatchObject({ kind: 'member' });
    for (const later of ['2030-01-01T00:01:00Z', '2040-01-01T00:00:00Z'])
      await expect(enter(token, at(later))).rejects.toMatchObject(UNAUTHENTICATED);
  });

  test('is made by the same recipe as the forgeries below', async () => {
    expect(await enter(await forged({}))).toMatchObject({ kind: 'member', memberId: member.id });
  });

  test.each([
    ['another type', { typ: 'JWT' }],
    ['another issuer', { iss: 'someone' }],
    ['another audience', { aud: 'someone' }],
    ['another algorithm', { alg: 'HS512' }],
    ['an end in the past', { exp: '-1s' }],
  ])('with %s is none', async (_, more) => {
    await expect(enter(await forged(more))).rejects.toMatchObject(UNAUTHENTICATED);
  });

  test('signed by nobody, by another secret, or changed, is none', async () => {
    const token = await createMemberToken(deps, claims);
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const none = base64url.encode(JSON.stringify({ alg: 'none', typ: 'flash-member+jwt' }));
    const claimsOf = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const stranger = base64url.encode(JSON.stringify({ ...claimsOf, sub: other.programId }));
    const elsewhere = { ...deps, config: { ...deps.config, tokenSecret: new Uint8Array(32) } };
    const bad = [
      `${none}.${payload}.`,
      `${header}.${stranger}.${signature}`,
      `${header}.${payload}`,
      await createMemberToken(elsewhere, claims),
    ];
    for (const text of bad) await expect(enter(text)).rejects.toMatchObject(UNAUTHENTICATED);
  });

  test('is minted for a member of the program, for 1 second to a day', async () => {
    const mint = (more: object) => createMemberToken(deps, { ...claims, ...more });
    for (const ttlSeconds of [0, -1, 86_401, 1.5])
      await expect(mint({ ttlSeconds })).rejects.toMatchObject({ field: 'ttlSeconds' });
    await mint({ ttlSeconds: 1 });
    await mint({ ttlSeconds: 86_400 });
    for (const more of [
      { memberId: 'nonsense' },
      { memberId: programId },
      { programId: other.programId as ProgramId },
    ])
      await expect(mint(more)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
