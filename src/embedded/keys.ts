import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Random, systemRandom } from '../kernel/crypto.ts';
import { SetupError } from '../kernel/setup-error.ts';

/** Named as the variables that they stand in for, but for the sandbox program's own secret key. */
export type Keys = {
  FLASH_ROOT_KEY: string;
  FLASH_ENCRYPTION_KEYS: string;
  FLASH_LOOKUP_KEYS: string;
  FLASH_TOKEN_SECRET: string;
  sandboxKey?: string;
};

export const KEY_NAMES = [
  'FLASH_ROOT_KEY',
  'FLASH_ENCRYPTION_KEYS',
  'FLASH_LOOKUP_KEYS',
  'FLASH_TOKEN_SECRET',
] as const;

const fileOf = (home: string) => path.join(home, 'keys.json');

function makeKeys(random: Random): Keys {
  return {
    FLASH_ROOT_KEY: `flash_root_${random.bytes(32).toString('base64url')}`,
    FLASH_ENCRYPTION_KEYS: `k1:${random.bytes(32).toString('base64')}`,
    FLASH_LOOKUP_KEYS: `k1:${random.bytes(32).toString('base64')}`,
    FLASH_TOKEN_SECRET: random.bytes(48).toString('base64url'),
  };
}

/**
 * The keys of the embedded database of this folder. They are made before their database, so that
 * there is no database without its keys: with a database there, missing keys are a refusal, since
 * new ones would leave every code in it unreadable.
 */
export async function keysOf(home: string, hasDatabase: boolean): Promise<Keys> {
  const file = fileOf(home);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new SetupError(`${file} cannot be read (${error.code}): see to its owner and mode`);
  });
  if (text !== undefined) return parse(file, text);
  if (hasDatabase) {
    throw new SetupError(
      `${file} is missing, and the database beside it was written with those keys: ` +
        `put it back, or remove ${home} to begin with an empty database`,
    );
  }
  const keys = makeKeys(systemRandom);
  await saveKeys(home, keys);
  return keys;
}

/** Written whole beside the old file and moved over it: a crash leaves the one or the other. */
export async function saveKeys(home: string, keys: Keys): Promise<void> {
  const next = `${fileOf(home)}.next`;
  await writeFile(next, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600, flush: true });
  await chmod(next, 0o600); // the mode above is for a new file only
  await rename(next, fileOf(home));
}

const loadedFile = (home: string) => path.join(home, 'keys.loaded');
const firstIds = (keys: Keys) =>
  [keys.FLASH_ENCRYPTION_KEYS, keys.FLASH_LOOKUP_KEYS].map((ring) => ring.split(':')[0]).join(' ');

/** Leaves a note of which keys the process of this folder works with: their ids, nothing more. */
export const noteLoaded = (home: string, keys: Keys): Promise<void> =>
  writeFile(loadedFile(home), firstIds(keys));

/** False while the running process still works with the keys of before. */
export async function areLoaded(home: string, keys: Keys): Promise<boolean> {
  return (await readFile(loadedFile(home), 'utf8').catch(() => '')) === firstIds(keys);
}

function parse(file: string, text: string): Keys {
  const broken = new SetupError(`${file} is damaged: restore it from a copy`);
  try {
    const keys = JSON.parse(text) as Record<string, unknown>;
    if (KEY_NAMES.every((name) => typeof keys[name] === 'string')) return keys as Keys;
  } catch {
    throw broken; // JSON.parse's own message would quote the keys
  }
  throw broken;
}
