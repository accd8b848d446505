import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ALPHABET,
  canonicalForm,
  checkCharacter,
  isImportable,
  looksMistyped,
  MAX_CODE_LENGTH,
  readCode,
} from '../../src/coupons/canonical.ts';
import { drawTexts } from '../../src/coupons/code-text.ts';
import { Mistake } from '../../src/kernel/errors.ts';
import { seededRandom } from '../support/random.ts';
import { rounds, seed, torture } from '../support/torture.ts';

const runs = () => ({ numRuns: rounds(2_000, 50_000), seed });
const DASHES = [
  '-',
  '\u2010',
  '\u2011',
  '\u2012',
  '\u2013',
  '\u2014',
  '\u2015',
  '\u2212',
  '\uff0d',
];
const SPACES = [' ', '\t', '\u00a0', '\u2003', '\u200b', '\u3000', '\ufeff', '\u2028'];

const codeText = fc
  .integer({ min: 0, max: 2 ** 31 })
  .map((n) => drawTexts(seededRandom(n), { prefix: 'PCT-', count: 1 })[0] as string);

test.each([
  ['pct-7k2m', 'PCT7K2M'],
  ['  PCT - 7K2M ', 'PCT7K2M'],
  ['PCT–7K2M—9QXA−1', 'PCT7K2M9QXA1'],
  ['OoIiLl', '001111'],
  ['ＰＣＴ－７Ｋ２Ｍ', 'PCT7K2M'],
  ['ⅷ', 'V111'],
  ['straße', 'STRASSE'],
  ['e\u0301t\u00e9', 'ÉTÉ'],
  ['A\u200d-\u0301', 'Á'],
  ['', ''],
])('%j is the code %j', (typed, canonical) => {
  expect(canonicalForm(typed)).toBe(canonical);
});

test('a code is the same in any case, with any spaces and dashes, in full width, with look-alikes', () => {
  const lookAlikes: Record<string, string[]> = {
    '0': ['0', 'O', 'o'],
    '1': ['1', 'I', 'i', 'L', 'l'],
  };
  const retyped = codeText.chain((text) =>
    fc.tuple(
      fc.constant(text),
      fc
        .tuple(
          ...[...text].map((character) =>
            fc.tuple(
              fc.constantFrom(...(lookAlikes[character] ?? [character, character.toLowerCase()])),
              fc.boolean(),
              fc.constantFrom('', '', '', ...DASHES, ...SPACES),
            ),
          ),
        )
        .map((parts) => parts.map(([c, wide, gap]) => (wide ? fullWidth(c) : c) + gap).join('')),
    ),
  );
  fc.assert(
    fc.property(retyped, ([text, typed]) => {
      expect(canonicalForm(typed)).toBe(canonicalForm(text));
    }),
    { numRuns: rounds(500, 20_000), seed },
  );
});

const fullWidth = (character: string): string =>
  String.fromCodePoint((character.codePointAt(0) as number) + 0xfee0);

test('the canonical form of a canonical form is itself, whatever was typed', () => {
  const fragment = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(...DASHES, ...SPACES, 'o', 'L', 'ı', 'İ', 'ß', '\u0301', '\u0308', '\u0345'),
  );
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 8 }), (fragments) => {
      const once = canonicalForm(fragments.join(''));
      expect(canonicalForm(once)).toBe(once);
    }),
    runs(),
  );
});

test('each character of Unicode alone and within a code has a stable canonical form', () => {
  const unstable: string[] = [];
  // Planes 3 to 13 are empty or ideographs, and the last two are for private use.
  for (let point = 0; point <= 0x10ffff; point++) {
    if (!torture && point === 0x20000) point = 0xe0000;
    if (!torture && point === 0xf0000) break;
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const character = String.fromCodePoint(point);
    for (const text of [character, `a${character}-\u0301`]) {
      const once = canonicalForm(text);
      if (canonicalForm(once) !== once) unstable.push(point.toString(16));
    }
  }
  expect(unstable).toEqual([]);
});

test('the check character notices each single wrong character, in each place', () => {
  for (const text of drawTexts(seededRandom(1), { prefix: '', count: 20 })) {
    const code = canonicalForm(text);
    expect(looksMistyped(code)).toBe(false);
    for (let at = 0; at < code.length; at++)
      for (const wrong of ALPHABET)
        if (wrong !== code[at])
          expect(looksMistyped(code.slice(0, at) + wrong + code.slice(at + 1))).toBe(true);
  }
});

test('the check character notices any two characters that changed places', () => {
  for (const text of drawTexts(seededRandom(2), { prefix: '', count: 50 })) {
    const code = canonicalForm(text);
    for (let i = 0; i < code.length; i++)
      for (let j = i + 1; j < code.length; j++) {
        if (code[i] === code[j]) continue;
        const swapped = [...code];
        [swapped[i], swapped[j]] = [code[j] as string, code[i] as string];
        expect(looksMistyped(swapped.join(''))).toBe(true);
      }
  }
});

test('one text in 32 passes the check by chance, and none that is too short or has strange letters', () => {
  const random = seededRandom(3);
  const passing = Array.from({ length: 3_200 }, () =>
    [...random.bytes(16)].map((byte) => ALPHABET[byte & 31]).join(''),
  ).filter((text) => !looksMistyped(text));
  expect(passing.length).toBeGreaterThan(50);
  expect(passing.length).toBeLessThan(150);
  const body = '0123456789ABCDE';
  const whole = body + checkCharacter(body);
  expect(looksMistyped(whole)).toBe(false);
  expect(looksMistyped(whole.slice(1))).toBe(true);
  expect(looksMistyped(`${whole.slice(0, 8)}U${whole.slice(9)}`)).toBe(true);
  expect(looksMistyped('')).toBe(true);
});

test.each([
  ['nothing', ''],
  ['only what the canonical form drops', ' -\u2013 '],
  ['a control character', 'PCT\u00007K2M'],
  ['half of a surrogate pair', 'PCT\ud8007K2M'],
  ['65 characters', 'A'.repeat(MAX_CODE_LENGTH + 1)],
  ['a text that only blows up under NFKC', '\ufdfa'.repeat(10)],
  ['a flood of dashes', '-'.repeat(100_000)],
])('%s is not read as a code, and the refusal does not repeat it', (_, text) => {
  const read = () => readCode(text, 'input.code');
  expect(read).toThrow(Mistake);
  expect(read).toThrow(/^input\.code: expected the text of a code, 1 to 64 printable characters$/);
});

test('whatever can be imported can be read afterwards', () => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 70 }),
    fc.string({ unit: 'grapheme', maxLength: 70 }),
    fc.constantFrom('\ufdfa'.repeat(10), '\u3316'.repeat(12), 'ß'.repeat(64)),
  );
  fc.assert(
    fc.property(anything, (text) => {
      fc.pre(isImportable(text));
      expect(() => readCode(text, 'code')).not.toThrow();
    }),
    runs(),
  );
});

test.each([
  ['ABCD', true],
  ['A-B-C', false],
  ['A'.repeat(64), true],
  ['A'.repeat(65), false],
  ['ABCD\u0007', false],
])('%j may be imported: %s', (text, importable) => {
  expect(isImportable(text)).toBe(importable);
});
