import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { systemRandom } from '../kernel/crypto.ts';
import { SetupError } from '../kernel/setup-error.ts';
import { areLoaded, keysOf, saveKeys } from './keys.ts';
import { findPostgres, runningAt } from './postgres.ts';

/** For a command beside a running `npm start`: its database and keys, in the form of variables. */
export async function attachEmbedded(home: string): Promise<Record<string, string>> {
  const place = await placeOf(home);
  const url = await runningAt(place.base, 'flash');
  if (!url) throw new SetupError(`nothing runs in ${home}: npm start first, or set DATABASE_URL`);
  const { sandboxKey: _, ...keys } = await keysOf(home, place.exists);
  if (!(await areLoaded(home, keys)))
    throw new SetupError(
      `new keys stand in ${home}, and the running process has the old: restart it`,
    );
  return { ...keys, DATABASE_URL: url };
}

/** Puts a new key in front of both keyrings of codes. They are used from the next start on. */
export async function addKeys(home: string): Promise<void> {
  const place = await placeOf(home);
  const keys = await keysOf(home, place.exists);
  const withNew = (keyring: string) => {
    const id = `k${systemRandom.bytes(4).toString('hex')}`;
    return `${id}:${systemRandom.bytes(32).toString('base64')},${keyring}`;
  };
  await saveKeys(home, {
    ...keys,
    FLASH_ENCRYPTION_KEYS: withNew(keys.FLASH_ENCRYPTION_KEYS),
    FLASH_LOOKUP_KEYS: withNew(keys.FLASH_LOOKUP_KEYS),
  });
}

async function placeOf(home: string) {
  const identity = await readFile(path.join(home, 'identity'), 'utf8').catch(() => '');
  if (identity === '') throw new SetupError(`${home} holds no embedded database of Flash`);
  return findPostgres(home, identity.trim());
}
