import fc from 'fast-check';
import { expect, test } from 'vitest';
import { drawNonces, lookupHashes, openCode, sealCode } from '../../src/coupons/vault.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { open, parseKeyring, seal, systemRandom } from '../../src/kernel/crypto.ts';
import { newId } from '../../src/kernel/ids.ts';
import { rounds, seed } from '../support/torture.ts';

const key = (fill: number) => Buffer.alloc(32, fill);
const ring = (...names: [string, number][]) =>
  parseKeyring(names.map(([id, fill]) => `${id}:${key(fill).toString('base64')}`).join(','));
const deps = { config: { encryptionKeys: ring(['k1', 1]), lookupKeys: ring(['l1', 2]) } };
const id = () => newId<string>({ clock: systemClock, random: systemRandom });
const aPlace = () => ({ programId: id(), poolId: id(), id: id() });
const nonce = () => systemRandom.bytes(12);

/** A row as the database keeps it. */
function stored(text: string, keys = deps) {
  const place = aPlace();
  const { ciphertext, keyId } = sealCode(keys, { ...place, text, nonce: nonce() });
  return { ...place, ciphertext: new Uint8Array(ciphertext), keyId };
}

test('a sealed code opens in its own row', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 64 }), (text) => {
      expect(openCode(deps, stored(text))).toBe(text);
    }),
    { numRuns: rounds(300, 10_000), seed },
  );
});

test.each(['programId', 'poolId', 'id'] as const)(
  'a ciphertext that was moved to another %s does not decrypt',
  (field) => {
    const row = stored('PCT-7K2M');
    expect(() => openCode(deps, { ...row, [field]: id() })).toThrow();
    expect(openCode(deps, row)).toBe('PCT-7K2M');
  },
);

test('two rows that exchange their ciphertexts are both unreadable', () => {
  const [a, b] = [stored('PCT-AAAA'), stored('PCT-BBBB')];
  expect(() => openCode(deps, { ...a, ciphertext: b.ciphertext })).toThrow();
  expect(() => openCode(deps, { ...b, ciphertext: a.ciphertext })).toThrow();
});

test('a ciphertext with any one bit changed does not decrypt', () => {
  const row = stored('PCT-7K2M');
  for (let bit = 0; bit < row.ciphertext.length * 8; bit++) {
    const ciphertext = Uint8Array.from(row.ciphertext);
    ciphertext[bit >> 3] = (ciphertext[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(() => openCode(deps, { ...row, ciphertext })).toThrow();
  }
});

test('a ciphertext that was cut short does not decrypt, however short', () => {
  const { ciphertext, ...row } = stored('PCT-7K2M');
  for (let length = 0; length < ciphertext.length; length++)
    expect(() => openCode(deps, { ...row, ciphertext: ciphertext.slice(0, length) })).toThrow();
});

test('the same text is sealed differently each time, under nonces that never repeat', () => {
  const boxes = Array.from({ length: 200 }, () => Buffer.from(stored('PCT-7K2M').ciphertext));
  expect(new Set(boxes.map((box) => box.toString('hex'))).size).toBe(200);
  const nonces = drawNonces(systemRandom, 5_000).map((bytes) => bytes.toString('hex'));
  expect(nonces.every((hex) => hex.length === 24)).toBe(true);
  expect(new Set(nonces).size).toBe(5_000);
});

test('a ciphertext says nothing of its text but the length', () => {
  const { ciphertext } = stored('PCT-7K2M');
  expect(ciphertext.length).toBe(12 + 'PCT-7K2M'.length + 16);
  expect(Buffer.from(ciphertext).toString('latin1')).not.toContain('7K2M');
});

test('a code that was sealed with an older key opens while that key is in the ring, and not after', () => {
  const row = stored('PCT-7K2M');
  const both = { config: { ...deps.config, encryptionKeys: ring(['k2', 9], ['k1', 1]) } };
  const without = { config: { ...deps.config, encryptionKeys: ring(['k2', 9]) } };
  expect(openCode(both, row)).toBe('PCT-7K2M');
  expect(() => openCode(without, row)).toThrow(/FLASH_ENCRYPTION_KEYS/);
});

test('another key under the same name does not open it', () => {
  const impostor = { config: { ...deps.config, encryptionKeys: ring(['k1', 9]) } };
  expect(() => openCode(impostor, stored('PCT-7K2M'))).toThrow();
});

test('a code is indexed under the current look-up key, and looked up under all of them', () => {
  const both = { config: { ...deps.config, lookupKeys: ring(['l2', 8], ['l1', 2]) } };
  const place = aPlace();
  const old = sealCode(deps, { ...place, text: 'pct-7k2m', nonce: nonce() });
  const fresh = sealCode(both, { ...place, text: 'PCT 7K2M', nonce: nonce() });
  expect([old.lookupKeyId, fresh.lookupKeyId]).toEqual(['l1', 'l2']);
  expect(lookupHashes(both, 'PCT7K2M')).toEqual([fresh.lookupHash, old.lookupHash]);
  expect(old.lookupHash).toHaveLength(32);
});

test('a box opens only under the context that it was sealed in', () => {
  const context = Buffer.from('here');
  const box = seal(key(1), { text: 'secret', context, nonce: nonce() });
  expect(open(key(1), { box, context })).toBe('secret');
  expect(() => open(key(1), { box, context: Buffer.from('there') })).toThrow();
  expect(() => open(key(1), { box, context: Buffer.alloc(0) })).toThrow();
});
