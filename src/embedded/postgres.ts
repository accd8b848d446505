/**
 * A PostgreSQL of our own in a folder: made when missing, taken over from a run that was killed.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { systemRandom } from '../kernel/crypto.ts';
import { SetupError } from '../kernel/setup-error.ts';
import { type Account, postgresPrograms, succeeds, unprivilegedAccount } from './binaries.ts';

const execute = promisify(execFile);
const SECONDS_TO_STOP = 15;
const START_ATTEMPTS = 20;

export type Server = { url: string; how: string; stop(): Promise<void> };
export type PostgresPlace = { base: string; account: Account; exists: boolean };
type Cluster = { bin: string; base: string; data: string; log: string; account: Account };

/**
 * Where the database of `home` is. As root it runs as another account, and where that one may not
 * enter `home`, it lives in /var/tmp, under a name made from home's path and `identity`: the
 * identity is kept in home, so a home that was removed and made anew never meets the old data.
 */
export async function findPostgres(home: string, identity: string): Promise<PostgresPlace> {
  const account = await unprivilegedAccount();
  const inside = path.resolve(home, 'postgres');
  const moved = path.join('/var/tmp', `flash-${digest(`${path.resolve(home)}\0${identity}`)}`);
  await mkdir(inside, { recursive: true, mode: 0o755 });
  const base = (await belongsInside({ inside, moved, account })) ? inside : moved;
  if (base === moved) {
    await mkdir(moved, { recursive: true, mode: 0o755 });
    await writeFile(path.join(inside, 'moved-to'), `${moved}\n`); // for people who look for it
  }
  return { base, account, exists: await hasData(base) };
}

type Places = { inside: string; moved: string; account: Account };

/** Data stays where it is, also when the folder's mode has been changed since it was put there. */
async function belongsInside({ inside, moved, account }: Places): Promise<boolean> {
  if (await hasData(moved)) return false;
  if (account.uid === undefined || (await mayEnter(inside, account))) return true;
  if (!(await hasData(inside))) return false;
  throw new SetupError(
    `${inside} holds a database that the account "nobody", which PostgreSQL runs as for root, ` +
      'may no longer enter: let others pass through the folders above it (chmod o+x)',
  );
}

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 24);

const hasData = (base: string) => succeeds(readFile(path.join(base, 'data', 'PG_VERSION')));

const mayEnter = (folder: string, account: Account) =>
  succeeds(execute('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { ...account, cwd: '/' }));

/** `settings` are added to the server's own, such as `fsync=off` for tests. */
export async function startPostgres(
  place: PostgresPlace,
  options: { database: string; settings?: readonly string[] },
): Promise<Server & { isNew: boolean }> {
  const bin = await postgresPrograms(place.account);
  const { base, account } = place;
  const data = path.join(base, 'data');
  const cluster = { bin, base, data, log: path.join(base, 'postgres.log'), account };
  if (!place.exists) await createCluster(cluster);
  const urlOf = await urlsOf(base);
  const urlAt = (port: number) => urlOf(port, 'postgres');
  const { port, takenOver } = await listen(cluster, { urlAt, settings: options.settings ?? [] });
  const stop = () => stopCluster(cluster);
  try {
    await createDatabase(urlAt(port), options.database);
  } catch (error) {
    await stop();
    throw error;
  }
  const how = takenOver ? 'taken over' : place.exists ? 'started' : 'created';
  return { url: urlOf(port, options.database), how, stop, isNew: !place.exists };
}

async function urlsOf(base: string) {
  const password = (await readFile(path.join(base, 'password'), 'utf8')).trim();
  return (port: number, database: string) =>
    `postgresql://postgres:${password}@127.0.0.1:${port}/${database}`;
}

/** Line 4 of the lock file is the port of whoever holds the folder; 0 when nobody does. */
async function heldPort(base: string): Promise<number> {
  const lockFile = path.join(base, 'data', 'postmaster.pid');
  return Number((await readFile(lockFile, 'utf8').catch(() => '')).split('\n')[3]) || 0;
}

/** The URL of a database of the server that runs in this folder; undefined when none does. */
export async function runningAt(base: string, database: string): Promise<string | undefined> {
  const port = await heldPort(base);
  if (port === 0) return undefined;
  const url = (await urlsOf(base))(port, database);
  return (await answers(url)) ? url : undefined;
}

function run(cluster: Cluster, [program, ...args]: [string, ...string[]]) {
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  const options = { ...cluster.account, cwd: '/', env };
  return execute(path.join(cluster.bin, program), args, options);
}

async function createCluster(cluster: Cluster): Promise<void> {
  const { base, data, account } = cluster;
  const password = path.join(base, 'password');
  // Made beside its place and moved there when whole: initdb may be killed at any moment.
  const making = `${data}.making`;
  await rm(making, { recursive: true, force: true });
  await mkdir(making, { mode: 0o700 });
  await writeFile(password, `${systemRandom.bytes(18).toString('base64url')}\n`, { mode: 0o600 });
  if (account.uid !== undefined) {
    for (const entry of [base, making, password])
      await chown(entry, account.uid, account.gid ?? -1);
  }
  // Without the locale settings and with LANG unset, the database would be SQL_ASCII.
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
  const login = ['-U', 'postgres', `--pwfile=${password}`, '--auth=scram-sha-256'];
  const rest = ['--encoding=UTF8', '--no-sync', '--no-instructions'];
  await run(cluster, ['initdb', '-D', making, ...login, ...locale, ...rest]).catch((error) => {
    throw new SetupError(`PostgreSQL's data folder could not be made in ${data}: ${said(error)}`);
  });
  await rename(making, data);
}

const said = (error: Error & { stderr?: string }) =>
  (error.stderr || error.message).trim().split('\n').slice(-4).join('\n');

type Listening = { port: number; takenOver: boolean };

async function listen(
  cluster: Cluster,
  options: { urlAt: (port: number) => string; settings: readonly string[] },
): Promise<Listening> {
  for (let attempt = 1; ; attempt++) {
    // Most likely a server of ours, from a run that was killed. Our password opens no other.
    const held = await heldPort(cluster.base);
    if (held > 0 && (await answers(options.urlAt(held)))) return { port: held, takenOver: true };
    const port = await freePort();
    const failure = await startCluster(cluster, { port, settings: options.settings });
    if (failure === undefined) return { port, takenOver: false };
    // A server killed a moment ago holds its lock file until it is reaped; a port can be snatched.
    const passes = /lock file .* already exists|could not bind|in use/.test(failure);
    if (!passes || attempt === START_ATTEMPTS) {
      throw new SetupError(`PostgreSQL did not start (its log is ${cluster.log}):\n${failure}`);
    }
    await sleep(500);
  }
}

/** Undefined when it is up, else the end of what the server wrote. */
async function startCluster(
  cluster: Cluster,
  options: { port: number; settings: readonly string[] },
): Promise<string | undefined> {
  const flags = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'timezone=UTC',
    'log_timezone=UTC',
    // The details of an error quote whole rows.
    'log_error_verbosity=terse',
    // A table that has just been filled has no statistics, and without them the planner takes any
    // index that begins with the program. A minute, the default, is a long time for a new database.
    'autovacuum_naptime=1s',
    ...options.settings,
  ].map((setting) => `-c ${setting}`);
  const how = ['-w', '-t', '60', '-s', '-l', cluster.log];
  const before = await readFile(cluster.log, 'utf8').catch(() => '');
  try {
    const server = `-p ${options.port} ${flags.join(' ')}`;
    await run(cluster, ['pg_ctl', 'start', '-D', cluster.data, ...how, '-o', server]);
    return undefined;
  } catch (error) {
    const log = (await readFile(cluster.log, 'utf8').catch(() => '')).slice(before.length);
    return log.trim() === '' ? said(error as Error) : log.trim().split('\n').slice(-8).join('\n');
  }
}

async function stopCluster(cluster: Cluster): Promise<void> {
  const how = ['-m', 'fast', '-w', '-t', String(SECONDS_TO_STOP)];
  await run(cluster, ['pg_ctl', 'stop', '-D', cluster.data, ...how]).catch((error) => {
    if (!/no server running|PID file .* does not exist/i.test(said(error))) throw error;
  });
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => {});
  const alive = await succeeds(client.connect().then(() => client.query('select 1')));
  await client.end().catch(() => {});
  return alive;
}

const DUPLICATE_DATABASE = '42P04';

async function createDatabase(adminUrl: string, name: string): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  try {
    await admin.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  } catch (error) {
    if ((error as pg.DatabaseError).code !== DUPLICATE_DATABASE) throw error;
  } finally {
    await admin.end();
  }
}

/** One that nobody listens on at this moment; whoever is told so must be ready to lose the race. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
