/**
 * The servers that Flash brings along, for whoever has none: started here, and only what is
 * missing.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemRandom } from '../kernel/crypto.ts';
import { KEY_NAMES, type Keys, keysOf, noteLoaded, saveKeys } from './keys.ts';
import { claimFolder } from './owner.ts';
import { findPostgres, type Server, startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';

export type Embedded = {
  /** The environment that was given, with what was missing filled in. */
  env: Record<string, string>;
  /** Both servers are ours. */
  embedded: boolean;
  how: string;
  sandbox?: SandboxKey;
  stop(): Promise<void>;
};

/**
 * Where the secret key of an embedded database's sandbox program is kept from one start to the
 * next.
 */
export type SandboxKey = { key: string | undefined; keep(key: string): Promise<void> };

export type EmbeddedOptions = {
  home: string;
  env: Record<string, string | undefined>;
  /** For tests and measurements; `variable` is the setting that names their home. */
  variable?: string;
  database?: string;
  postgresSettings?: readonly string[];
  redisSettings?: readonly string[];
};

type Part = { server?: Server; env: Record<string, string>; how: string; sandbox?: SandboxKey };

/** What `startEmbedded` is going to fill in, given this environment. */
export function willBeMade(env: EmbeddedOptions['env']): string[] {
  const database = env.DATABASE_URL ? [] : ['DATABASE_URL', ...KEY_NAMES];
  return env.REDIS_URL ? database : [...database, 'REDIS_URL'];
}

/** Throws a SetupError that says what to do; then nothing is left running. */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { home } = options;
  const given = onlySet(options.env);
  if (given.DATABASE_URL && given.REDIS_URL) {
    const how = 'PostgreSQL and Redis of yours';
    return { env: given, embedded: false, how, stop: async () => {} };
  }
  await mkdir(home, { recursive: true });
  const release = await claimFolder(home, options.variable ?? 'FLASH_HOME');
  // All settled: with Promise.all, one that fails would leave the other running.
  const parts = await Promise.allSettled([databasePart(options, given), redisPart(options, given)]);
  const servers = parts.flatMap((part) => (part.status === 'fulfilled' ? part.value.server : []));
  const stop = async () => {
    const stopped = await Promise.allSettled(servers.map((server) => server?.stop()));
    await release();
    throwFirst(stopped);
  };
  if (parts.some((part) => part.status === 'rejected')) await stop();
  const [database, redis] = throwFirst(parts) as [Part, Part];
  return {
    env: { ...database.env, ...redis.env, ...given },
    embedded: servers.filter(Boolean).length === 2,
    how: `${database.how}, ${redis.how}`,
    ...(database.sandbox ? { sandbox: database.sandbox } : {}),
    stop,
  };
}

async function databasePart(
  options: EmbeddedOptions,
  given: Record<string, string>,
): Promise<Part> {
  if (given.DATABASE_URL) return { env: {}, how: 'PostgreSQL from DATABASE_URL' };
  const { home } = options;
  const place = await findPostgres(home, await identityOf(home));
  const keys = await keysOf(home, place.exists);
  const server = await startPostgres(place, {
    database: options.database ?? 'flash',
    settings: options.postgresSettings ?? [],
  });
  await noteLoaded(home, keys);
  const { sandboxKey, ...made } = keys;
  return {
    server,
    env: { ...made, DATABASE_URL: server.url },
    how: `PostgreSQL ${server.how}`,
    sandbox: sandboxOf(home, { keys, isNew: server.isNew }),
  };
}

async function redisPart(options: EmbeddedOptions, given: Record<string, string>): Promise<Part> {
  if (given.REDIS_URL) return { env: {}, how: 'Redis from REDIS_URL' };
  const settings = options.redisSettings ?? [];
  const server = await startRedis(options.home, { env: options.env, settings });
  return { server, env: { REDIS_URL: server.url }, how: `Redis ${server.how}` };
}

/** A key that was kept for a database which has been removed opens nothing in the new one. */
function sandboxOf(home: string, database: { keys: Keys; isNew: boolean }): SandboxKey {
  const { keys, isNew } = database;
  const keep = (sandboxKey: string) => saveKeys(home, { ...keys, sandboxKey });
  return { key: isNew ? undefined : keys.sandboxKey, keep };
}

async function identityOf(home: string): Promise<string> {
  const file = path.join(home, 'identity');
  const known = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (known !== '') return known;
  const made = systemRandom.bytes(16).toString('hex');
  await writeFile(file, `${made}\n`);
  return made;
}

function onlySet(env: EmbeddedOptions['env']): Record<string, string> {
  const set = Object.entries(env).filter(([, value]) => value !== undefined && value !== '');
  return Object.fromEntries(set) as Record<string, string>;
}

function throwFirst<T>(results: readonly PromiseSettledResult<T>[]): T[] {
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
