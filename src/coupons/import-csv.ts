import type { Deps } from '../deps.ts';
import { readCsv } from '../kernel/csv.ts';
import { inTransaction } from '../kernel/db.ts';
import { badInput, conflict } from '../kernel/errors.ts';
import { parse, text } from '../kernel/input.ts';
import { importRows, poolOf, type Rows, takenRows } from './import-codes.ts';
import { conflictsWithin, type ImportConflict, type ImportRow } from './import-rows.ts';
import { checkRoom, MAX_BATCH, takesCodes } from './store-batch.ts';
import type { CodeBatch, PoolRef } from './types.ts';

type ImportCsv = PoolRef & {
  csv: string;
  dryRun: boolean;
  idempotencyKey?: string | null | undefined;
};

/** `rows`: how many codes the file has. The batch is there only without a conflict or dry run. */
export type ImportReport = {
  rows: number;
  conflicts: ImportConflict[];
  batch: CodeBatch | undefined;
};

/**
 * Takes over the codes of a CSV file as one batch or, where rows are in conflict, none; a dry run
 * only says which. The codes stand in the column that the first record calls `code`, or else in the
 * first; a record is known by its number in the file.
 *
 * Locks: POOL shared, CODE_SPACE; none in a dry run.
 * Refusals: none; BAD_USER_INPUT for what is no CSV; CONFLICT as for generateCodes.
 * A retry with the same idempotencyKey returns the first batch.
 * Events: pool.codes_added.
 */
export async function importCsv(deps: Deps, args: ImportCsv): Promise<ImportReport> {
  const key = parse(text(200).nullish(), args.idempotencyKey, 'idempotencyKey') ?? undefined;
  const rows = codesOf(readCsv(args.csv, 'csv'));
  if (rows.length < 1 || rows.length > MAX_BATCH)
    throw badInput('csv', `1 to ${MAX_BATCH} records with a code`);
  const within = conflictsWithin(rows);
  const pool = await poolOf(deps, args);
  const of = { pool, rows, key };
  const report = { rows: rows.length, conflicts: within, batch: undefined };
  if (args.dryRun) await checkPool(deps, of);
  if (args.dryRun || within.length > 0)
    return {
      ...report,
      conflicts: inOrder([...within, ...(await takenRows(deps, { ...of, within }))]),
    };
  const { batch, taken } = await importRows(deps, { ...of, operation: 'importCsv' });
  return { ...report, conflicts: taken, batch };
}

function codesOf([first = [], ...others]: string[][]): ImportRow[] {
  const named = first.findIndex((cell) => cell.trim().toLowerCase() === 'code');
  const column = Math.max(named, 0);
  const records = named < 0 ? [first, ...others] : others;
  const start = named < 0 ? 1 : 2;
  return records.flatMap((cells, i) =>
    cells.every((cell) => cell.trim() === '')
      ? [] // such as what stands behind the last line
      : [{ row: start + i, text: (cells[column] ?? '').trim() }],
  );
}

/** A dry run without a conflict says that the import would succeed now. */
async function checkPool(deps: Deps, { pool, rows }: Rows): Promise<void> {
  if (!takesCodes(pool))
    throw conflict(`poolId: codes are imported in DRAFT and PAUSED, not in ${pool.status}`);
  await inTransaction(deps, (tx) => checkRoom(tx, { pool, count: rows.length }));
}

const inOrder = (conflicts: ImportConflict[]) => conflicts.toSorted((a, b) => a.row - b.row);
