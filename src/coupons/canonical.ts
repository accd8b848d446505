import { badInput } from '../kernel/errors.ts';

/** Crockford's base-32 alphabet: no I, L, O (they look like 1 and 0) and no U. */
export const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Random characters and a check character behind the prefix of a generated code. */
export const BODY_LENGTH = 16;

export const MAX_CODE_LENGTH = 64;
const MIN_CANONICAL_LENGTH = 4;

/**
 * The one form in which codes are compared, whoever typed them: NFKC, upper case, without spaces
 * and dashes, O read as 0 and I and L as 1. Applying it twice changes nothing.
 */
export function canonicalForm(text: string): string {
  const upper = text.normalize('NFKC').toUpperCase().normalize('NFKC');
  return upper
    .replace(/[\s\p{Z}\p{Pd}\p{Cf}\u2212]/gu, '')
    .normalize('NFKC') // a letter and an accent may have become neighbours
    .replace(/O/g, '0')
    .replace(/[IL]/g, '1');
}

/** The canonical form of a code that somebody sent; BAD_USER_INPUT for what can be no code. */
export function readCode(text: string, field: string): string {
  const canonical = text.length > 4 * MAX_CODE_LENGTH ? '' : canonicalForm(text);
  if (canonical === '' || canonical.length > MAX_CODE_LENGTH || /[\p{Cc}\p{Cs}]/u.test(canonical))
    throw badInput(field, `the text of a code, 1 to ${MAX_CODE_LENGTH} printable characters`);
  return canonical;
}

/**
 * Whether a text may be imported as a code: long enough to be one, printable, and readable
 * afterwards, for a ligature may become many letters.
 */
export function isImportable(text: string): boolean {
  if (text.length > MAX_CODE_LENGTH || /[\p{Cc}\p{Cs}]/u.test(text)) return false;
  const { length } = canonicalForm(text);
  return length >= MIN_CANONICAL_LENGTH && length <= MAX_CODE_LENGTH;
}

/**
 * The check character of a body: its characters as coefficients of a polynomial over GF(32), read
 * at a primitive element. It notices every single wrong character and every two that changed
 * places.
 */
export function checkCharacter(body: string): string {
  let sum = 0;
  for (const character of body) {
    sum = step(sum) ^ ALPHABET.indexOf(character);
  }
  return ALPHABET[step(sum)] as string;
}

/**
 * Times x. x^5 + x^2 + 1 is primitive, so the powers of x do not repeat within 31 characters; the
 * one step more behind the last character is the check's own place.
 */
function step(value: number): number {
  const doubled = value << 1;
  return doubled & 32 ? doubled ^ 0b100101 : doubled;
}

/**
 * True when no generated code is spelled so. Imported codes carry no check: ask only about unknown
 * ones.
 */
export function looksMistyped(canonical: string): boolean {
  const body = canonical.slice(-BODY_LENGTH);
  if (body.length < BODY_LENGTH || [...body].some((c) => !ALPHABET.includes(c))) return true;
  return checkCharacter(body.slice(0, -1)) !== body.at(-1);
}
