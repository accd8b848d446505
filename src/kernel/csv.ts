import { badInput } from './errors.ts';

/**
 * The records of a CSV text (RFC 4180). The separator is the first comma, semicolon or tab of the
 * first line: spreadsheets write either, depending on where they are. Throws BAD_USER_INPUT that
 * names the record in which a quotation does not end.
 */
export function readCsv(text: string, field: string): string[][] {
  const separator = /^(?:"[^"]*"|[^,;\t"\r\n])*([,;\t])/.exec(text)?.[1] ?? ',';
  const cell = new RegExp(
    `(?:"((?:[^"]|"")*)"|([^${separator}"\\r\\n]*))(${separator}|\\r?\\n|\\r|$)`,
    'y',
  );
  cell.lastIndex = text.startsWith('\uFEFF') ? 1 : 0;
  const records: string[][] = [[]];
  for (;;) {
    const found = cell.exec(text);
    if (!found) throw badInput(field, `CSV; record ${records.length} is not`);
    records.at(-1)?.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? '');
    const end = found[3];
    if (end === '') return records;
    if (end !== separator) records.push([]);
  }
}

/** A spreadsheet would take such a cell for a formula, and run it. */
export const isFormula = (text: string): boolean => /^[=+\-@\t\r]/.test(text);

/** One record of a CSV text, with its end. */
export const csvRecord = (cells: readonly string[]): string => `${cells.map(quoted).join(',')}\r\n`;

const quoted = (cell: string): string =>
  /[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
