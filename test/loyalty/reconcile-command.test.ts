/** `npm run reconcile` as an operator runs it: a process of its own on a database. */
import { execFile } from 'node:child_process';
import process from 'node:process';
import { expect, test } from 'vitest';
import { reconcile } from '../../src/workers/index.ts';
import { testDeps } from '../support/database.ts';
import { openLedger } from '../support/ledger.ts';
import { PATIENCE } from '../support/torture.ts';

const deps = await testDeps();
const sound = await openLedger(deps, { name: 'Sound' });
const broken = await openLedger(deps, { name: 'Broken' });

type Ended = { code: number; stdout: string; stderr: string };

function command(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  const all = { PATH: process.env.PATH, DATABASE_URL: deps.config.databaseUrl, ...env };
  return new Promise((resolve) => {
    const argv = ['--import', 'tsx', 'src/reconcile.ts', ...args];
    execFile(process.execPath, argv, { env: all }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

test(
  'it ends with 0 while every program ties out, and with 1 and the rows when one does not',
  PATIENCE,
  async () => {
    const member = await broken.member();
    await sound.lot(await sound.member(), 10);
    await broken.lot(member, 10);
    const before = await command([]);
    expect([before.code, before.stderr]).toEqual([0, '']);
    expect(before.stdout).toContain(
      `Sound (${sound.programId}): 1 members, 1 lots, 0 codes: ties out`,
    );
    await deps.db.member.updateMany({ where: { id: member }, data: { debt: 7 } });
    const after = await command([]);
    expect([after.code, after.stderr]).toEqual([1, '']);
    expect(after.stdout).toContain('Sound (');
    expect(after.stdout).toMatch(
      new RegExp(`member: cancelled = reversed \\+ forgone \\+ debt +${member} +0 +7`),
    );
    const one = await command(['--program', sound.programId]);
    expect([one.code, one.stdout.includes('Broken')]).toEqual([0, false]);
    expect((await command([`--program=${broken.programId}`])).code).toBe(1);
    const { differences } = await reconcile(deps, { programId: broken.programId });
    expect(differences).toEqual([
      {
        invariant: 'member: cancelled = reversed + forgone + debt',
        subject: member,
        expected: 0,
        actual: 7,
      },
    ]);
  },
);

test('it explains itself, and says what it did not understand', PATIENCE, async () => {
  const help = await command(['--help']);
  expect([help.code, help.stdout.includes('Usage: npm run reconcile')]).toEqual([0, true]);
  for (const args of [['--nonsense'], ['--program'], ['--program', 'x']])
    expect(await command(args)).toMatchObject({ code: 1, stdout: '' });
  const nobody = await command(['--program', '01890000-0000-7000-8000-000000000000']);
  expect(nobody.stderr).toContain('--program: no such program');
});
