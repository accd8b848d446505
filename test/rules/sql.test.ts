import { expect, test } from 'vitest';
import { normaliseEmail } from '../../src/members/index.ts';
import { testDeps } from '../support/database.ts';

const { db } = await testDeps();
const MOST = Number.MAX_SAFE_INTEGER; // 2^53 - 1, the largest amount that a client can send

type Discount = { kind: string; value: number; max: number | null };

/** The function reads three columns of a pool; the others stay empty. */
async function discountOf({ kind, value, max }: Discount, amount: number): Promise<number> {
  const [row] = await db.$queryRaw<{ discount: bigint }[]>`
    SELECT discount_of(jsonb_populate_record(NULL::pools, ${JSON.stringify({
      discount_kind: kind,
      discount_value: value,
      max_discount: max,
    })}::jsonb), ${amount}::bigint) AS discount`;
  return Number(row?.discount);
}

test.each([
  ['PERCENT', 1_000, null, 10_000, 1_000],
  ['PERCENT', 1_000, null, 99, 9],
  ['PERCENT', 1_000, null, 9, 0],
  ['PERCENT', 3_333, null, 3, 0],
  ['PERCENT', 3_333, null, 10_000, 3_333],
  ['PERCENT', 3_333, null, 10_001, 3_333],
  ['PERCENT', 1, null, 9_999, 0],
  ['PERCENT', 1, null, 10_000, 1],
  ['PERCENT', 9_999, null, 1, 0],
  ['PERCENT', 10_000, null, 12_345, 12_345],
  ['PERCENT', 1_000, null, 0, 0],
  ['PERCENT', 1_000, 500, 4_999, 499],
  ['PERCENT', 1_000, 500, 5_000, 500],
  ['PERCENT', 1_000, 500, 5_010, 500],
  ['PERCENT', 1_000, 500, MOST, 500],
  ['PERCENT', 10_000, null, MOST, MOST],
  ['PERCENT', 9_999, null, MOST, 9_006_298_534_815_516],
  ['PERCENT', 10_000, MOST, MOST, MOST],
  ['AMOUNT', 500, null, 10_000, 500],
  ['AMOUNT', 500, null, 500, 500],
  ['AMOUNT', 500, null, 499, 499],
  ['AMOUNT', 500, null, 0, 0],
  ['AMOUNT', MOST, null, MOST, MOST],
  ['AMOUNT', MOST, null, 1, 1],
  ['GIFT', 0, null, 10_000, 0],
  ['GIFT', 0, null, MOST, 0],
])('%s of %d, at most %s, on an order of %d is %d', async (kind, value, max, amount, discount) => {
  expect(await discountOf({ kind, value, max }, amount)).toBe(discount);
});

test.each([
  ['ann@shop.example', 'ann@shop.example'],
  ['ann+news@shop.example', 'ann@shop.example'],
  ['ann+news+more@shop.example', 'ann@shop.example'],
  ['ann+@shop.example', 'ann@shop.example'],
  ['+news@shop.example', '+news@shop.example'],
  ['a.n.n@shop.example', 'a.n.n@shop.example'],
  ['a.n.n@gmail.com', 'ann@gmail.com'],
  ['ann@gmail.com', 'ann@gmail.com'],
  ['a.n.n+x@gmail.com', 'ann@gmail.com'],
  ['ann@googlemail.com', 'ann@gmail.com'],
  ['a.nn+b.c@googlemail.com', 'ann@gmail.com'],
  ['ann@mail.gmail.com', 'ann@mail.gmail.com'],
  ['a.nn@notgmail.com', 'a.nn@notgmail.com'],
  ['"a@b"+c@shop.example', '"a@b"@shop.example'],
  ['jürgen+x@shop.example', 'jürgen@shop.example'],
])('the mailbox of %s is %s', async (email, mailbox) => {
  const rows = await db.$queryRaw`SELECT mailbox_of(${email}) AS mailbox`;
  expect(rows).toEqual([{ mailbox }]);
});

test('the mailbox of a mailbox is itself, and no address has none', async () => {
  const rows = await db.$queryRaw`
    SELECT mailbox_of(mailbox_of('a.n+x@googlemail.com')) AS twice, mailbox_of(NULL) AS none`;
  expect(rows).toEqual([{ twice: 'an@gmail.com', none: null }]);
});

test.each([
  ['  Ann@Shop.EXAMPLE ', 'ann@shop.example'],
  ['JU\u0308RGEN@shop.example', 'j\u00fcrgen@shop.example'],
  ['\u00a0ann@shop.example\ufeff', 'ann@shop.example'],
])('the address %j is kept as %j', (typed, kept) => {
  expect(normaliseEmail(typed)).toBe(kept);
});

test('what the engine keeps as an address the database agrees to be in lower case', async () => {
  const letters: string[] = [];
  for (let point = 0x21; point < 0x20000; point++) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    letters.push(normaliseEmail(`a${String.fromCodePoint(point)}b`));
  }
  const rows = await db.$queryRaw<{ letter: string }[]>`
    SELECT letter FROM unnest(${letters}::text[]) letter WHERE letter <> lower(btrim(letter))`;
  expect(rows).toEqual([]);
});

const half = 2n ** 31n;
const whole = 2n ** 32n;

test.each([
  ['mine', 1_000n, 1_000n, 1_010n, false],
  ['the one before it', 1_000n, 999n, 1_010n, false],
  ['the next', 1_000n, 1_001n, 1_010n, true],
  ['the last that the snapshot knows', 1_000n, 1_009n, 1_010n, true],
  ['half of all numbers less one before it', half + 1_000n, 1_001n, half + 1_010n, false],
  ['half of all numbers before it', half + 1_000n, 1_000n, half + 1_010n, false],
  ['half of all numbers and one before it', half + 1_000n, 999n, half + 1_010n, false],
  ['nearly all numbers before it', whole + 1_000n, 1_010n, whole + 1_010n, false],
  ['the last before the numbers begin again', whole + 5n, whole - 1n, whole + 6n, false],
  ['a later one, beyond that place', whole - 1n, whole + 5n, whole + 6n, true],
  ['a much later one', 7n * whole, 7n * whole + half + 9n, 7n * whole + half + 10n, true],
])(
  'of a row’s writers %s is told from those that began later',
  async (...[, mine, writer, next, later]) => {
    const rows = await db.$queryRaw`
    SELECT began_later(${writer % whole}::bigint, ${mine}::bigint, ${next}::bigint) AS later`;
    expect(rows).toEqual([{ later }]);
  },
);
