import { badInput } from '../kernel/errors.ts';
import { canonicalForm, isImportable, MAX_CODE_LENGTH } from './canonical.ts';

export type ImportProblem = 'MALFORMED' | 'REPEATED' | 'TAKEN';

/** `row` counts from 1; `sameAs`: the earlier row that a REPEATED one equals. */
export type ImportConflict = { row: number; problem: ImportProblem; sameAs?: number };

export type ImportRow = { row: number; text: string };

/** What the list itself says: rows that can be no codes, and rows that equal an earlier one. */
export function conflictsWithin(rows: readonly ImportRow[]): ImportConflict[] {
  const first = new Map<string, number>();
  return rows.flatMap(({ row, text }): ImportConflict[] => {
    if (!isImportable(text)) return [{ row, problem: 'MALFORMED' }];
    const canonical = canonicalForm(text);
    const sameAs = first.get(canonical);
    if (sameAs !== undefined) return [{ row, problem: 'REPEATED', sameAs }];
    first.set(canonical, row);
    return [];
  });
}

const NAMED_ROWS = 20;
const EXPECTED: Record<ImportProblem, string> = {
  MALFORMED: `4 to ${MAX_CODE_LENGTH} printable characters`,
  REPEATED: 'codes that differ from every earlier row',
  TAKEN: 'codes that the program does not have yet',
};

/** Names the rows of each problem by number: their text is what must not be repeated. */
export function rowsRefused(conflicts: readonly ImportConflict[]) {
  const expected = (['MALFORMED', 'REPEATED', 'TAKEN'] as const).flatMap((problem) => {
    const rows = conflicts.filter((one) => one.problem === problem).map(({ row }) => row);
    if (rows.length === 0) return [];
    const more = rows.length > NAMED_ROWS ? ` and ${rows.length - NAMED_ROWS} more` : '';
    const named = rows.slice(0, NAMED_ROWS).join(', ');
    return `${EXPECTED[problem]}; rows ${named}${more} are not`;
  });
  return badInput('codes', expected.join('; and '));
}
