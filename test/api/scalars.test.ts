import { expect, test } from 'vitest';
import { scalars } from '../../src/graphql/scalars.ts';

type Name = keyof typeof scalars;
const read = (name: Name, value: unknown) => scalars[name].parseValue(value);

test.each<[Name, unknown, unknown]>([
  ['DateTime', '2021-03-04T05:06:07.089+02:00', new Date('2021-03-04T03:06:07.089Z')],
  ['DateTime', '1900-01-01T00:00:00Z', new Date('1900-01-01T00:00:00Z')],
  ['EmailAddress', '  Ada@Example.com ', 'Ada@Example.com'],
  ['LocalDate', '2024-02-29', '2024-02-29'],
  ['SafeInt', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ['SafeInt', 0, 0],
])('%s takes %j', (name, ...[value, expected]) => {
  expect(read(name, value)).toEqual(expected);
});

test.each<[Name, unknown]>([
  ['DateTime', '2021-03-04'],
  ['DateTime', '2021-02-30T00:00:00Z'],
  ['DateTime', '2021-03-04T05:06:07'],
  ['DateTime', '1899-12-31T23:59:59Z'],
  ['DateTime', '0000-01-01T00:00:00Z'],
  ['DateTime', 1_700_000_000_000],
  ['EmailAddress', 'zebra'],
  ['EmailAddress', 'zebra@'],
  ['EmailAddress', 'zebra@example.com\0'],
  ['EmailAddress', 'a@b@example.com'],
  ['EmailAddress', `${'z'.repeat(250)}@example.com`],
  ['EmailAddress', `${'a'.repeat(200_000)}!`],
  ['EmailAddress', ''],
  ['LocalDate', '2023-02-29'],
  ['LocalDate', '1899-12-31'],
  ['LocalDate', '2023-2-9'],
  ['LocalDate', '2023-02-09T00:00:00Z'],
  ['SafeInt', 2 ** 53],
  ['SafeInt', 1.5],
  ['SafeInt', '1'],
  ['SafeInt', Number.NaN],
  ['SafeInt', true],
])('%s does not take %j, and does not repeat it', (name, value) => {
  expect(() => read(name, value)).toThrow(new TypeError(`expected ${name}`));
});
