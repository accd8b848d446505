import fc from 'fast-check';
import { expect, test } from 'vitest';
import { plainText } from '../../src/marketing/advisor/plain-text.ts';
import { rounds, seed } from '../support/torture.ts';

test.each([
  ['Win back: 20 % off, for 30 days!', 'Win back: 20 % off, for 30 days!'],
  ['Zurück für Stammkunden – „5 €“', 'Zurück für Stammkunden – „5 €“'],
  ['<b>Bold</b> and <script>alert(1)</script>', 'Bold and alert(1)'],
  ['see https://evil.example/a?b=c now', 'see now'],
  ['see HTTPS:\\\\evil.example now', 'see now'],
  ['write to grace@example.com now', 'write to now'],
  ['go to www.evil.example now', 'go to now'],
  ['go to evil.example/path now', 'go to now'],
  ['javascript:alert(1) or tel:+12', 'alert(1) or +12'],
  ['&lt;img&gt; &#60;', 'img'],
  ['[click](here) `code` *bold* _it_ # head | cell', 'click (here) code bold it head cell'],
  ['two\nlines\tand\u0000more\u001b[31m', 'two lines and more 31m'],
  ['ht\u200btps://evil.example', ''],
  ['left \u202eto right\u202c', 'left to right'],
  ['ｈｔｔｐ：／／evil．example', ''],
  ['Tom & Jerry 50/50 {x} $5', 'Tom Jerry 50 50 x $5'],
  [`it's "quoted"`, 'it’s quoted'],
  ['   ', ''],
  ['🎉🎉', ''],
  ['\u3164', ''], // a letter by its category, and blank to whoever looks
  ['\u115f\u1160 \uffa0', ''],
  ['a\u3164b\u034fc', 'abc'],
  ['\u0301\u0302', ''],
  ['!!! ... –', ''],
  [`e${'\u0316'.repeat(50)}x`, 'e\u0316\u0316x'],
  ['٩٠٪ off', '٩٠% off'],
  ['₹500 off', '₹500 off'],
])('%j becomes %j', (text, plain) => {
  expect(plainText(text, 100)).toBe(plain);
});

test('it is cut between words, and a single long word within', () => {
  expect(plainText('one two three', 9)).toBe('one two');
  expect(plainText('one two three', 13)).toBe('one two three');
  expect(plainText('abcdefghij', 4)).toBe('abcd');
  expect(plainText('𝒜𝒜𝒜', 2)).toBe('AA'); // letters of an alphabet of its own, made plain
});

test.each(['a', '㌖', 'ﷺ'])('a long word takes no long time, also of %s', (character) => {
  const began = performance.now();
  for (let texts = 0; texts < 40; texts++)
    expect([...plainText(character.repeat(250_000), 4)].length).toBeLessThanOrEqual(4);
  expect(performance.now() - began).toBeLessThan(10_000);
});

test('whatever comes in, what goes out is short, plain, and stays as it is', () => {
  const pieces = fc.constantFrom(
    ...['http://', 'evil.com', '<', '>', 'a', '@', '.', ':', '/', '&lt;', '\u200b', ' ', '%'],
  );
  const hostile = fc.array(fc.oneof(pieces, fc.string({ unit: 'binary' }))).map((p) => p.join(''));
  fc.assert(
    fc.property(hostile, (text) => {
      const plain = plainText(text, 80);
      expect([...plain].length).toBeLessThanOrEqual(80);
      expect(plain).not.toMatch(/[<>@/\\&"'[\]{}`*_#|~^=\p{C}]|\s\s|^\s|\s$/u);
      expect(plain).not.toMatch(/[\p{L}\p{N}]:\S|[\p{L}\p{N}-]\.\p{L}{2}/u);
      expect(plain).not.toMatch(/\p{M}{3}|^[^\p{L}\p{N}]+$|\p{Default_Ignorable_Code_Point}/u);
      expect(plainText(plain, 80)).toBe(plain);
    }),
    { numRuns: rounds(1_000, 50_000), seed },
  );
});
