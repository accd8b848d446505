/**
 * Which Redis to run: redis-server or valkey-server on PATH, else (Debian, Ubuntu) the
 * distribution's own package, unpacked into a folder of ours without root and without installing
 * it.
 */
import { execFile } from 'node:child_process';
import { access, constants, mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { SetupError } from '../kernel/setup-error.ts';
import { succeeds } from './binaries.ts';

const execute = promisify(execFile);
const APT_TIMEOUT_MS = 180_000;

type Env = Record<string, string | undefined>;
export type RedisProgram = { file: string; env: Env; from: string };

export async function findRedis(cache: string, env: Env): Promise<RedisProgram> {
  for (const name of ['redis-server', 'valkey-server']) {
    const file = await onPath(name, env);
    if (file) return { file, env, from: 'from PATH' };
  }
  const ready = await unpacked(cache, env);
  if (ready) return ready;
  const missing = 'there is no Redis here: set REDIS_URL, or install redis-server or valkey-server';
  if (!(await onPath('apt-get', env)) || !(await onPath('dpkg-deb', env))) {
    throw new SetupError(missing);
  }
  await fetchPackage(cache, env).catch((error: Error & { stderr?: string }) => {
    const reason = (error.stderr || error.message).trim().split('\n').slice(-3).join(' / ');
    throw new SetupError(`${missing}\n(fetching the distribution's package failed: ${reason})`);
  });
  const fetched = await unpacked(cache, env);
  if (!fetched) throw new SetupError(`${missing}\n(the distribution's package does not run)`);
  return fetched;
}

async function onPath(name: string, env: Env): Promise<string | undefined> {
  for (const folder of (env.PATH ?? '').split(path.delimiter)) {
    const file = path.join(folder, name);
    if (folder !== '' && (await succeeds(access(file, constants.X_OK)))) return file;
  }
  return undefined;
}

async function unpacked(cache: string, given: Env): Promise<RedisProgram | undefined> {
  const file = path.join(cache, 'usr/bin/redis-server');
  const libraries = path.join(cache, 'usr/lib');
  const entries = await readdir(libraries, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory());
  const search = folders.map((entry) => path.join(libraries, entry.name)).join(':');
  const env = { ...given, LD_LIBRARY_PATH: search };
  const works = await succeeds(execute(file, ['--version'], { env }));
  return works ? { file, env, from: "from the distribution's package" } : undefined;
}

/**
 * apt keeps its lists and archives in our folder, so it needs no root and changes nothing outside.
 * It still checks signatures, and works out which libraries this machine lacks.
 */
async function fetchPackage(cache: string, env: Env): Promise<void> {
  const scratch = `${cache}.fetching`;
  const [lists, archives, root] = ['lists', 'archives', 'root'].map((name) =>
    path.join(scratch, name),
  ) as [string, string, string];
  await rm(scratch, { recursive: true, force: true });
  for (const folder of [path.join(lists, 'partial'), path.join(archives, 'partial'), root]) {
    await mkdir(folder, { recursive: true });
  }
  const settings = [
    `Dir::State::lists=${lists}`,
    `Dir::Cache=${scratch}`,
    `Dir::Cache::archives=${archives}`,
    'Debug::NoLocking=1',
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
    'Acquire::Retries=1',
    'Acquire::http::Timeout=20',
  ].flatMap((setting) => ['-o', setting]);
  const apt = (...args: string[]) =>
    execute('apt-get', ['-qq', '-y', ...settings, ...args], { timeout: APT_TIMEOUT_MS, env });
  await apt('update');
  await apt('--no-install-recommends', '--download-only', 'install', 'redis-server');
  for (const name of await readdir(archives)) {
    if (!name.endsWith('.deb')) continue;
    await execute('dpkg-deb', ['-x', path.join(archives, name), root], { env });
  }
  // Moved into place whole, so that a run killed while fetching leaves nothing that looks ready.
  await rm(cache, { recursive: true, force: true });
  await rename(root, cache);
  await rm(scratch, { recursive: true, force: true });
}
