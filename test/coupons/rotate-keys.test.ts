import { beforeEach, expect, test } from 'vitest';
import { canonicalForm } from '../../src/coupons/canonical.ts';
import {
  findCode,
  generateCodes,
  importCodes,
  redeemCode,
  rotateKeys,
} from '../../src/coupons/index.ts';
import { lookupHashes, openCode } from '../../src/coupons/vault.ts';
import type { Deps } from '../../src/deps.ts';
import { parseKeyring } from '../../src/kernel/crypto.ts';
import { testDatabase, testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { claim, redeem } from '../support/scenes.ts';
import { openShop, type Shop } from '../support/shop.ts';
import { mistake, unchanged } from '../support/unchanged.ts';

const ring = (...ids: string[]) =>
  parseKeyring(ids.map((id) => `${id}:${Buffer.alloc(32, id).toString('base64')}`).join(','));
const keys = (encryption: string[], lookup: string[]) => ({
  config: { encryptionKeys: ring(...encryption), lookupKeys: ring(...lookup) },
});

const databaseUrl = await testDatabase();
/** The service before, while and after its keys are rotated: three processes on one database. */
const before = await testDeps({ databaseUrl, ...keys(['e1'], ['l1']) });
const during = await testDeps({ databaseUrl, ...keys(['e2', 'e1'], ['l2', 'l1']) });
const afterwards = await testDeps({ databaseUrl, ...keys(['e2'], ['l2']) });

let shop: Shop;
beforeEach(async () => {
  shop = await openShop(before);
});

const keysInUse = () =>
  before.db.code.groupBy({
    by: ['keyId', 'lookupKeyId'],
    where: { programId: shop.programId },
    _count: true,
  });

async function textsOf(deps: Deps, poolId: string): Promise<string[]> {
  const where = { programId: shop.programId, poolId };
  const codes = await deps.db.code.findMany({ where, orderBy: { id: 'asc' } });
  return codes.map((code) => openCode(deps, code));
}

test('while two look-up keys are in the ring a code under the old one is found and redeemed', async () => {
  const pool = await shop.pool(2);
  const member = await shop.member();
  const { code, plaintext } = await shop.claimed(pool.id, { memberId: member.id });
  const { programId } = shop;
  const spelled = plaintext.toLowerCase();
  expect((await findCode(during, { programId, code: spelled }))?.id).toBe(code.id);
  expect(await findCode(afterwards, { programId, code: spelled })).toBeNull();
  const asker = { kind: 'merchant' } as const;
  const redeemed = await redeemCode(during, {
    programId,
    code: spelled,
    orderId: 'order-1',
    orderAmount: 1_000,
    asker,
  });
  expect(redeemed).toMatchObject({ ok: true, code: { id: code.id } });
});

test('an import of a code that stands under the old look-up key is refused with its row', async () => {
  const { programId } = shop;
  const [old, poolId] = [await shop.draft(0), (await shop.draft(0)).id];
  await importCodes(before, { programId, poolId: old.id, codes: ['OLD-CODE', 'OLDER-CODE'] });
  const codes = ['NEW-CODE', 'older code', 'NEWER-CODE'];
  const error = await mistake(during.db, () => importCodes(during, { programId, poolId, codes }));
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'codes' });
  expect(error.message).toMatch(/rows 2 are not$/);
  await importCodes(during, { programId, poolId, codes: ['NEW-CODE', 'NEWER-CODE'] });
});

test('an idempotencyKey that was used before a rotation still answers the first batch', async () => {
  const [{ programId }, pool, idempotencyKey] = [shop, await shop.draft(0), unique('key')];
  const call = { programId, poolId: pool.id, codes: ['KEPT-CODE'], idempotencyKey };
  const first = await importCodes(before, call);
  expect(await unchanged(during.db, () => importCodes(during, call))).toEqual(first);
  const other = () => importCodes(during, { ...call, codes: ['OTHER-CODE'] });
  expect(await mistake(during.db, other)).toMatchObject({ code: 'CONFLICT' });
});

test('after a rotation every code is under the new keys, and the old ones can go', async () => {
  const pool = await shop.pool(1_200);
  const texts = await textsOf(before, pool.id);
  const sealed = await before.db.code.findMany({ where: { poolId: pool.id } });
  const progress: [number, number][] = [];
  const moved = await rotateKeys(during, { onProgress: (...step) => progress.push(step) });
  expect(moved).toBeGreaterThanOrEqual(1_200);
  expect(progress[0]).toEqual([0, moved]);
  expect(progress.at(-1)).toEqual([moved, moved]);
  expect(await keysInUse()).toEqual([{ keyId: 'e2', lookupKeyId: 'l2', _count: 1_200 }]);
  expect(await textsOf(afterwards, pool.id)).toEqual(texts);
  const [text] = texts as [string];
  const { programId } = shop;
  expect((await findCode(afterwards, { programId, code: text }))?.poolId).toBe(pool.id);
  const old = new Set(sealed.map((code) => Buffer.from(code.ciphertext).toString('hex')));
  for (const { ciphertext, lookupHash, id } of await before.db.code.findMany({
    where: { poolId: pool.id },
  })) {
    expect(old.has(Buffer.from(ciphertext).toString('hex'))).toBe(false);
    const index = sealed
      .map((code) => code.id)
      .sort()
      .indexOf(id);
    const [hash] = lookupHashes(afterwards, canonicalForm(texts[index] as string));
    expect(Buffer.from(lookupHash).equals(hash as Buffer)).toBe(true);
  }
});

test('a rotation that is run again finds nothing to do', async () => {
  await shop.pool(5);
  expect(await rotateKeys(during)).toBeGreaterThanOrEqual(5);
  expect(await unchanged(during.db, () => rotateKeys(during))).toBe(0);
});

test('two rotations at once move every code, and none is lost', async () => {
  const pool = await shop.pool(1_000);
  const texts = await textsOf(before, pool.id);
  const moved = await Promise.all([rotateKeys(during), rotateKeys(during)]);
  expect(moved[0] + moved[1]).toBeGreaterThanOrEqual(1_000);
  expect(await keysInUse()).toEqual([{ keyId: 'e2', lookupKeyId: 'l2', _count: 1_000 }]);
  expect(await textsOf(afterwards, pool.id)).toEqual(texts);
});

test('claims and redemptions go on while the keys are rotated', async () => {
  const { programId } = shop;
  const pool = await shop.pool(1_500);
  const members = await Promise.all(Array.from({ length: 40 }, () => shop.member()));
  const rotation = rotateKeys(during);
  const redeemed = await Promise.all(
    members.map(async (member, i) => {
      const who = { programId, poolId: pool.id, memberId: member.id, actor: 'key:shop' } as const;
      const claimed = await claim(before, who);
      if (!claimed.ok) return claimed;
      return redeem(during, { programId, code: claimed.plaintext, orderId: `order-${i}` });
    }),
  );
  await rotation;
  expect(redeemed.every((answer) => answer.ok)).toBe(true);
  expect(await shop.count(pool.id, 'REDEEMED')).toBe(40);
  expect(await keysInUse()).toEqual([{ keyId: 'e2', lookupKeyId: 'l2', _count: 1_500 }]);
});

test('where codes stand under a look-up key that a process lacks, it neither rotates nor adds any', async () => {
  const [{ programId }, poolId] = [shop, (await shop.draft(0)).id];
  await generateCodes(before, { programId, poolId, count: 2 });
  await unchanged(before.db, () =>
    expect(rotateKeys(afterwards)).rejects.toThrow(/FLASH_LOOKUP_KEYS/),
  );
  await unchanged(before.db, () =>
    expect(generateCodes(afterwards, { programId, poolId, count: 2 })).rejects.toThrow(
      /FLASH_LOOKUP_KEYS/,
    ),
  );
  await rotateKeys(during);
});
