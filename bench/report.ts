import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import process from 'node:process';
import { promisify } from 'node:util';

/** One line of the table. Rates are a second, times in milliseconds. */
export type Result = {
  operation: string;
  /** null: it was not measured. */
  ours: number | null;
  baseline: number | null;
  ratio: number | null;
  /** The least and the greatest ratio of two rounds side by side. */
  interval?: [number, number];
  p50: number | null;
  p99: number | null;
  target: string;
  /** null: it could not be judged, and `target` says why. */
  met: boolean | null;
};

/** A row that says why there are no numbers in it. */
export const unmeasured = (operation: string, target: string): Result => ({
  operation,
  ...{ ours: null, baseline: null, ratio: null, p50: null, p99: null, met: null },
  target,
});

/** What was measured, when, on what and in which form; `lines` is null for all of them. */
type Run = { at: Date; machine: string[]; form: string; lines: string[] | null };

/** A run of some lines has a file of its own: it leaves the last whole one standing. */
export async function report(results: Result[], run: Run): Promise<void> {
  console.log(`\n${table(results)}\n`);
  const name = run.lines ? 'results-of-some.json' : 'results.json';
  const told = { ...run, results: results.map(rounded) };
  await writeFile(new URL(name, import.meta.url), `${JSON.stringify(told, null, 2)}\n`);
  console.log(`The same as JSON: bench/${name}`);
}

const digits = (value: number, count: number) => Number(value.toPrecision(count));

function rounded(result: Result): Result {
  const round = (value: number | null) => (value === null ? null : digits(value, 4));
  return {
    ...result,
    ours: round(result.ours),
    baseline: round(result.baseline),
    ratio: round(result.ratio),
    ...(result.interval && { interval: result.interval.map((one) => digits(one, 4)) as never }),
    p50: round(result.p50),
    p99: round(result.p99),
  };
}

const HEAD = ['operation', 'ours', 'baseline', 'ratio', 'p50 ms', 'p99 ms', 'target', 'met'];

function table(results: Result[]): string {
  const rows = [HEAD, ...results.map(cells)];
  const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => (row[i] as string).length)));
  const lines = rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] as number)));
  lines.splice(
    1,
    0,
    widths.map((width) => '-'.repeat(width)),
  );
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

function cells(result: Result): string[] {
  const rate = (value: number | null) =>
    value === null ? '' : digits(value, value < 1000 ? 3 : 6).toLocaleString('en', WHOLE(value));
  const ms = (value: number | null) => (value === null ? '' : value.toFixed(1));
  const interval = result.interval?.map((one) => one.toFixed(2)).join('-');
  const ratio = result.ratio?.toFixed(2) ?? '';
  return [
    result.operation,
    rate(result.ours),
    rate(result.baseline),
    interval ? `${ratio} (${interval})` : ratio,
    ms(result.p50),
    ms(result.p99),
    result.target,
    result.met === null ? '?' : result.met ? 'yes' : 'NO',
  ];
}

const WHOLE = (value: number) => ({ maximumFractionDigits: value < 100 ? 2 : 0 });

/** What the numbers were measured on: they mean nothing without it. */
export async function machine(about: {
  postgres: string;
  pgbench: string | undefined;
}): Promise<string[]> {
  const pgbench = about.pgbench && (await versionOf(about.pgbench));
  const memory = (os.totalmem() / 2 ** 30).toFixed(0);
  return [
    `${os.cpus().length} cores (${os.cpus()[0]?.model.trim()}), ${memory} GiB, ` +
      `${os.type()} ${os.release()}`,
    `Node ${process.version}, PostgreSQL ${about.postgres}, ${pgbench ?? 'no pgbench found'}`,
    `load before: ${os
      .loadavg()
      .map((one) => one.toFixed(1))
      .join(' ')}`,
  ];
}

async function versionOf(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['--version']);
  return stdout.trim();
}
