import fc from 'fast-check';
import { expect, test } from 'vitest';
import { csvRecord, isFormula, readCsv } from '../../src/kernel/csv.ts';
import { Mistake } from '../../src/kernel/errors.ts';
import { seed } from '../support/torture.ts';

const read = (text: string) => readCsv(text, 'csv');

test.each<[string, string, string[][]]>([
  ['one column', 'A\nB\n', [['A'], ['B'], ['']]],
  ['no end of the last line', 'A\r\nB', [['A'], ['B']]],
  [
    'a mark of the byte order',
    '\uFEFFcode,x\nA,1',
    [
      ['code', 'x'],
      ['A', '1'],
    ],
  ],
  [
    'semicolons',
    'code;text\nA;"1,5"',
    [
      ['code', 'text'],
      ['A', '1,5'],
    ],
  ],
  [
    'tabs',
    'code\ttext\nA\t1;2',
    [
      ['code', 'text'],
      ['A', '1;2'],
    ],
  ],
  [
    'a quoted separator before the first real one',
    '"a;b",c\nd,e',
    [
      ['a;b', 'c'],
      ['d', 'e'],
    ],
  ],
  ['quotation marks and ends of lines in a cell', '"a ""b""\r\nc",d', [['a "b"\r\nc', 'd']]],
  [
    'empty cells',
    ',\n,x',
    [
      ['', ''],
      ['', 'x'],
    ],
  ],
  ['nothing', '', [['']]],
])('a file is read with %s', (_, text, records) => {
  expect(read(text)).toEqual(records);
});

test.each([
  ['A\n"B', 2],
  ['"A"B', 1],
  ['A\nB"C', 2],
])('what is no CSV is refused by its record: %j', (text, record) => {
  expect(() => read(text)).toThrow(Mistake);
  expect(() => read(text)).toThrow(`csv: expected CSV; record ${record} is not`);
});

test('whatever is written is read again', () => {
  const cell = fc.oneof(fc.string(), fc.constantFrom('"', ',', ';', '\t', '\r\n', '\n', ' x '));
  const records = fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1 });
  fc.assert(
    fc.property(records, (written) => {
      const head = ['id', 'text'];
      const text = [head, ...written].map(csvRecord).join('');
      expect(read(text)).toEqual([head, ...written, ['']]);
    }),
    { seed },
  );
});

test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1'])('%j is a formula', (text) => {
  expect(isFormula(text)).toBe(true);
});
