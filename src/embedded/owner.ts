import { execFile } from 'node:child_process';
import { open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { systemRandom } from '../kernel/crypto.ts';
import { SetupError } from '../kernel/setup-error.ts';

const execute = promisify(execFile);

/**
 * One run for each folder: a second one would take over the first one's database, and stop it when
 * it ends. `variable` is the setting that names the folder.
 *
 * Each run adds its line to the file `owner`, and the topmost that lives has the folder. Nothing is
 * ever taken from anybody: a dead owner's line that one of two moves away may be the other's new
 * one. Only the owner removes the file, and whoever has added a line to that one asks again.
 */
export async function claimFolder(home: string, variable: string): Promise<() => Promise<void>> {
  const file = path.join(home, 'owner');
  // Its process id and its start, since ids are used again, and a number of this claim alone.
  const claim = systemRandom.bytes(8).toString('hex');
  const me = `${process.pid} ${(await startOf(process.pid)) ?? ''} ${claim}`;
  const isWritten = async () => (await linesOf(file)).includes(me);
  // A folder that was removed and made anew meanwhile may be another's.
  const release = async () => {
    if (await isWritten()) await rm(file, { force: true });
  };
  for (;;) {
    const claims = await open(file, 'a');
    try {
      await claims.write(`\n${me}\n`); // a line before it may have no end
      const owner = await aliveAbove(me, await linesOf(file));
      // Only now: the owner may have removed the file and ended since its line was read.
      if (!(await isWritten())) continue;
      if (owner === undefined) return release;
      await claims.write(`-${me}\n`);
      throw new SetupError(
        `${path.resolve(home)} is in use by process ${owner.split(' ')[0]}: stop that one, or ` +
          `set ${variable} to another folder for a second one beside it`,
      );
    } finally {
      await claims.close();
    }
  }
}

async function linesOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n');
}

/** A line that is there once more behind a minus was withdrawn. */
async function aliveAbove(me: string, lines: string[]): Promise<string | undefined> {
  for (const line of lines.slice(0, lines.indexOf(me))) {
    if (!lines.includes(`-${line}`) && (await isAlive(line))) return line;
  }
  return undefined;
}

async function isAlive(owner: string): Promise<boolean> {
  const [id = '', start = ''] = owner.split(' ');
  const pid = Number(id);
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  if (start === '') return process.platform !== 'linux' && pid !== process.pid;
  return (await startOf(pid)) === start;
}

/**
 * When a process began, in the kernel's ticks, or to the second as `ps` says; undefined for a dead
 * one that nobody has reaped.
 */
async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return startByPs(pid);
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the program's name in brackets, which may hold spaces and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}

async function startByPs(pid: number): Promise<string | undefined> {
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  const asked = execute('ps', ['-o', 'lstart=', '-p', String(pid)], { env });
  const { stdout } = await asked.catch(() => ({ stdout: '' }));
  return stdout.trim().replace(/\s+/g, '-') || undefined;
}
