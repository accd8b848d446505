import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { aProgram } from '../support/factories.ts';

const run = promisify(execFile);
let api: Awaited<ReturnType<typeof startApi>>;
let secretKey: string;

beforeAll(async () => {
  const deps = await testDeps();
  api = await startApi(deps);
  ({ secretKey } = await aProgram(deps));
});

/** Ids, and the random part of a code, are different on every machine. */
const settle = (text: string): string =>
  text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>')
    .replace(/PCT(-[0-9A-Z]{4}){4}/g, '<code>')
    .trim();

test('the five-minute tour of the README answers what it says', async () => {
  const readme = await readFile('README.md', 'utf8');
  const tour = readme.slice(readme.indexOf('## Five minutes'), readme.indexOf('## On real'));
  const blocks = [...tour.matchAll(/```(sh|json)\n([\s\S]*?)```/g)];
  const commands = blocks.flatMap(([, kind, text]) => (kind === 'sh' ? [text] : []));
  const answers = blocks.flatMap(([, kind, text]) => (kind === 'json' ? [text ?? ''] : []));
  expect(answers.length).toBeGreaterThan(3);
  const script = commands
    .join('\n')
    .replaceAll('http://127.0.0.1:4000', api.url.replace('/graphql', ''));
  const { stdout } = await run('bash', ['-euc', script], {
    env: { PATH: process.env.PATH, KEY: secretKey },
  });
  expect(settle(stdout)).toBe(settle(answers.join('')));
});

test('the code that was claimed twice in the README is one code', async () => {
  const readme = await readFile('README.md', 'utf8');
  const codes = readme.match(/PCT(-[0-9A-Z]{4}){4}/g) ?? [];
  expect(codes.length).toBe(2);
  expect(new Set(codes).size).toBe(1);
});
