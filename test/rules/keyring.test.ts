import { expect, test } from 'vitest';
import { parseKeyring, sameSecret } from '../../src/kernel/crypto.ts';

const key = (fill: number) => Buffer.alloc(32, fill).toString('base64');

test('the first entry of a keyring writes, and every one reads', () => {
  const ring = parseKeyring(`new:${key(2)}, old:${key(1)}`);
  expect(ring.current).toEqual({ id: 'new', key: Buffer.alloc(32, 2) });
  expect([...ring.all.keys()]).toEqual(['new', 'old']);
  expect(ring.all.get('old')).toEqual(Buffer.alloc(32, 1));
});

test('a key is also read without padding and in the alphabet for URLs', () => {
  const bytes = Buffer.alloc(32, 0xfb);
  expect(parseKeyring(`a:${bytes.toString('base64url')}`).current.key).toEqual(bytes);
});

test.each([
  ['', 1],
  ['k1', 1],
  [':AAAA', 1],
  [`k1:${Buffer.alloc(31).toString('base64')}`, 1],
  [`k1:${Buffer.alloc(33).toString('base64')}`, 1],
  [`k 1:${key(1)}`, 1],
  [`${'k'.repeat(33)}:${key(1)}`, 1],
  [`k1:${key(1)},`, 2],
  [`k1:${key(1)},k2:secret-that-is-no-key`, 2],
  [`k1:${key(1)},k1:${key(2)}`, 2],
])(
  'a keyring with a wrong entry is refused, which names its position and not its text',
  (text, at) => {
    let message = '';
    try {
      parseKeyring(text);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(new RegExp(`^entry ${at}: `));
    for (const secret of ['AAAA', 'secret', key(1), key(2), 'k1'])
      expect(message).not.toContain(secret);
  },
);

test('secrets are the same only when they are equal, whatever their lengths', () => {
  expect(sameSecret('abc', 'abc')).toBe(true);
  expect(sameSecret('abc', 'abd')).toBe(false);
  expect(sameSecret('abc', 'abcd')).toBe(false);
  expect(sameSecret('', 'a')).toBe(false);
});
