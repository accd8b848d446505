import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { SetupError } from '../kernel/setup-error.ts';

/**
 * One run for each folder: a second one would take over the first one's database, and stop it when
 * it ends. `variable` is the setting that names the folder. The owner is written down as its
 * process id and its start, since ids are used again.
 */
export async function claimFolder(home: string, variable: string): Promise<() => Promise<void>> {
  const file = path.join(home, 'owner');
  const me = `${process.pid} ${(await startOf(process.pid)) ?? ''}`;
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      await writeFile(file, me, { flag: 'wx' });
      return () => rm(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = await readOwner(file);
    if (await isAlive(owner)) break;
    await moveAway(file, owner);
  }
  const pid = (await readFile(file, 'utf8').catch(() => '')).split(' ')[0];
  throw new SetupError(
    `${path.resolve(home)} is in use by process ${pid}: stop that one, or set ${variable} ` +
      'to another folder for a second one beside it',
  );
}

/**
 * A file is made before it is written: one that is empty may belong to a run that has just begun.
 */
async function readOwner(file: string): Promise<string> {
  const owner = await readFile(file, 'utf8').catch(() => '');
  if (owner !== '') return owner;
  await sleep(100);
  return readFile(file, 'utf8').catch(() => '');
}

/**
 * Renaming is atomic: of two runs that find a dead owner, one moves it away and the other does not.
 */
async function moveAway(file: string, dead: string): Promise<void> {
  const aside = `${file}.${process.pid}`;
  await rename(file, aside).catch(() => {});
  const moved = await readFile(aside, 'utf8').catch(() => dead);
  // The other run was quicker, and what was moved is its claim: it goes back.
  if (moved !== dead) await writeFile(file, moved, { flag: 'wx' }).catch(() => {});
  await rm(aside, { force: true });
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
  if (process.platform !== 'linux') return pid !== process.pid;
  return start !== '' && (await startOf(pid)) === start;
}

/** When a process began, in the kernel's ticks; undefined for a dead one that nobody has reaped. */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the program's name in brackets, which may hold spaces and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}
