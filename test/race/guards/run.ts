/**
 * `npm run test:guards`: takes out one guard after the other, and expects the tests that need it to
 * fail. First it runs them all with every guard in place: then they have to pass.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import type { Guard, TestOf } from './edits.ts';
import { guards } from './guards.ts';

const ROOT = path.join(import.meta.dirname, '../../..');
const VITEST = path.join(ROOT, 'node_modules/vitest/vitest.mjs');

type Report = {
  testResults: { name: string; assertionResults: { title: string; status: string }[] }[];
};

/** Title to status, of the tests that ran. */
async function run(tests: readonly TestOf[], guard?: string): Promise<Map<string, string>> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'flash-guards-'));
  const outputFile = path.join(folder, 'report.json');
  const files = [...new Set(tests.map(({ file }) => file))];
  const pattern = `^(${tests.map(({ title }) => escaped(title)).join('|')})$`;
  const options = ['-t', pattern, '--reporter=json', `--outputFile=${outputFile}`];
  const child = spawn(process.execPath, [VITEST, 'run', ...files, ...options], {
    cwd: ROOT,
    env: { ...process.env, FLASH_GUARD: guard ?? '', FLASH_TORTURE: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      output += data;
    });
  try {
    await once(child, 'close');
    const report = JSON.parse(await readFile(outputFile, 'utf8')) as Report;
    const results = report.testResults.flatMap((file) => file.assertionResults);
    return new Map(results.map(({ title, status }) => [title, status]));
  } catch (error) {
    throw new Error(`the tests did not run:\n${output}`, { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** What did not come out as it should, in the words of the table. */
function surprises(
  statuses: Map<string, string>,
  of: { tests: readonly TestOf[]; expected: 'passed' | 'failed' },
): string[] {
  return of.tests
    .filter(({ title }) => statuses.get(title) !== of.expected)
    .map(({ title }) => `${statuses.get(title) ?? 'did not run'}: ${title}`);
}

async function check(guard: Guard): Promise<string[]> {
  const spares = guard.spares ?? [];
  const statuses = await run([...guard.needs, ...spares], guard.name);
  return [
    ...surprises(statuses, { tests: guard.needs, expected: 'failed' }),
    ...surprises(statuses, { tests: spares, expected: 'passed' }),
  ];
}

function line(name: string, cells: { tests: string; found: string[]; began: number }) {
  const { tests, found, began } = cells;
  const seconds = `${((performance.now() - began) / 1000).toFixed(1)} s`;
  const verdict = found.length === 0 ? 'as expected' : 'NOT AS EXPECTED';
  console.log(`${name.padEnd(42)} ${tests.padEnd(24)} ${verdict.padEnd(16)} ${seconds}`);
  for (const one of found) console.log(`    ${one}`);
}

async function main(): Promise<number> {
  const asked = process.argv.slice(2);
  const chosen = guards.filter(({ name }) => asked.length === 0 || asked.includes(name));
  const all = chosen.flatMap((guard) => [...guard.needs, ...(guard.spares ?? [])]);
  let began = performance.now();
  const statuses = await run(all);
  const found = surprises(statuses, { tests: all, expected: 'passed' });
  line('(none taken out)', { tests: `${statuses.size} pass`, found, began });
  let failures = found.length;
  for (const guard of chosen) {
    began = performance.now();
    const unexpected = await check(guard);
    failures += unexpected.length;
    const spared = guard.spares ? `, ${guard.spares.length} spared` : '';
    line(guard.name, { tests: `${guard.needs.length} fail${spared}`, found: unexpected, began });
  }
  return failures === 0 ? 0 : 1;
}

process.exitCode = await main();
