/**
 * The rates and amounts of money that words state: a title must not promise what its draft does not
 * give. What cannot be read for certain counts as too much.
 */
import type { Draft } from '../types.ts';

export type Money = { currency: string; minorDigits: number };

// Whatever stands between two digits is a part of it: what looks like one number is read as one.
const NUMBER = '\\p{Nd}(?:[\\p{Nd}.,’\\s–—-]*\\p{Nd})?';
const PERCENT_WORDS = [
  'per ?cent(?:o|s)?',
  // One that is not named: a percentage off.
  '(?<!(?<!\\p{L})a\\s)per ?centages?',
  'pro[cz]ent(?:en?)?',
  'pour ?cent',
  'por ?cento',
  'por ?ciento',
  'pct',
];
const PERCENT = `(?:%|(?:${PERCENT_WORDS.join('|')})(?!\\p{L}))`;
const UNITS = 'euros?|cents?|dollars?|bucks?|pounds?|quid|francs?|franken|yen|rupees?';

const RATES = new RegExp(`(${NUMBER})?\\s*${PERCENT}\\s*(${NUMBER})?`, 'giu');

const anyCase = (words: string) =>
  words.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`);

// A letter or a word behind a number makes it one that cannot be read: 5k, 5 thousand.
const TIMES = `(?:\\p{L}|\\s*${anyCase('(?:hundred|thousand|million)')})(?!\\p{L})`;
const COUNT = `(${NUMBER}(?:${TIMES})?)`;

/**
 * What is money without a number is matched alone. A code of a currency may be a word too, but for
 * its capitals: try, all.
 */
const amountsIn = ({ currency }: Money) => {
  const unit = `(?<!${anyCase('(?:per|pour)')}\\s)${anyCase(`(?:${UNITS})`)}`;
  const mark = `(?:\\p{Sc}|(?<!\\p{L})(?:${unit}|${currency})(?!\\p{L}))`;
  const off = `${anyCase('off')}(?!\\p{L})`;
  return new RegExp(`${COUNT}\\s*(?:${mark}|${off})|${mark}\\s*${COUNT}|${mark}`, 'gu');
};

/** Digits in groups of three or in one, and at most two decimal places. */
const READABLE = /^(\d+|\d{1,3}(?:[.,’\s]\d{3})+)(?:[.,](\d{1,2}))?$/;

function read(number: string): number {
  const [, whole, places = '0'] = READABLE.exec(number.trim()) ?? [];
  return whole === undefined
    ? Number.POSITIVE_INFINITY
    : Number(`${whole.replace(/\D/g, '')}.${places}`);
}

type Stated = { number: number; before: string };

/** Also of both ends of a range; with the text that stands before them. */
function stated(text: string, pattern: RegExp): Stated[] {
  return [...text.matchAll(pattern)].flatMap((match) => {
    const found = match.slice(1).filter((number) => number !== undefined);
    const numbers = found.flatMap((number) => number.split(/[–—-]/).map(read));
    if (numbers.length === 0) numbers.push(Number.POSITIVE_INFINITY);
    return numbers.map((number) => ({ number, before: text.slice(0, match.index) }));
  });
}

const words = (list: string) => new RegExp(`(?<!\\p{L})(?:${list})(?!\\p{L})`, 'iu');

const FREE = 100; // as a gift is too
/** Rates that have a name; nothing in a draft keeps the last. */
const NAMED = [
  { name: words('half|halves|halved'), rate: 50 },
  { name: words('free|gratis'), rate: FREE },
  { name: words('doubles?|doubled|twice|triples?|tripled'), rate: Number.POSITIVE_INFINITY },
];

/** What an order has to come to, and not what is taken off it. */
const SMALLEST_ORDER = /(?<!\p{L})(?:from|over|above|beyond|least|minimum|spend|spending|ab)\s*$/iu;

/**
 * Whether a text in plain characters states a higher rate than the draft's, a larger amount than it
 * takes off, or either where there is none. Its smallest order may be named as such.
 */
export function saysMore(text: string, { draft, money }: { draft: Draft; money: Money }): boolean {
  const { discountKind: kind, discountValue: value, minOrderAmount } = draft;
  const mostRate = kind === 'PERCENT' ? value / 100 : 0;
  const mostAmount = kind === 'AMOUNT' ? value : (draft.maxDiscount ?? 0);
  const isTooMuch = ({ number, before }: Stated) => {
    const minor = Math.round(number * 10 ** money.minorDigits);
    return minor > mostAmount && !(minor === minOrderAmount && SMALLEST_ORDER.test(before));
  };
  const isNotKept = ({ name, rate }: (typeof NAMED)[number]) =>
    name.test(text) && rate > mostRate && !(kind === 'GIFT' && rate === FREE);
  return (
    NAMED.some(isNotKept) ||
    stated(text, RATES).some(({ number }) => number > mostRate) ||
    stated(text, amountsIn(money)).some(isTooMuch)
  );
}
