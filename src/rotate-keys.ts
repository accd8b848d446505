/** `npm run rotate-keys`: brings every code and secret under the first key of each keyring. */
import process from 'node:process';
import { SingleBar } from 'cli-progress';
import { DEFAULT_HOME, readEnvironment, readKeyrings } from './config.ts';
import { rotateKeys } from './coupons/index.ts';
import { addKeys, attachEmbedded } from './embedded/attach.ts';
import { systemRandom } from './kernel/crypto.ts';
import { openDb } from './kernel/db.ts';
import { SetupError } from './kernel/setup-error.ts';
import { runToEnd } from './lifecycle.ts';
import { resealSecrets } from './webhooks/index.ts';

const HELP = `Usage: npm run rotate-keys [-- --add-keys]

Re-encrypts every code, and every webhook's secret, with the first key of FLASH_ENCRYPTION_KEYS, and
indexes every code anew with the first key of FLASH_LOOKUP_KEYS, while the service runs. Stopped
half way, it goes on where it was; run again, it finds nothing to do.

To replace a key without a moment in which a code cannot be read:
  1. Add the new key at the END of its keyring, and restart every API process and worker.
  2. Move it to the FRONT, and restart them again: it writes from now on, the old one still reads.
  3. npm run rotate-keys
  4. Remove the old key from the keyring, and restart. Keep it with the backups made before.

With the embedded database there is one process, so steps 1 and 2 are one:
  npm run rotate-keys -- --add-keys     then restart npm start, then: npm run rotate-keys

  --add-keys   embedded database only: put a new key in front of each keyring
  --help       this text`;

async function main(): Promise<number> {
  const wanted = process.argv.slice(2);
  if (wanted.includes('--help')) {
    console.log(HELP);
    return 0;
  }
  if (wanted.some((word) => word !== '--add-keys'))
    throw new SetupError('no such option: --help lists them all');
  const given = readEnvironment();
  const home = given.FLASH_HOME ?? DEFAULT_HOME;
  if (wanted.includes('--add-keys')) {
    await addKeys(home);
    console.log('New keys stand in front. Restart npm start, then: npm run rotate-keys');
    return 0;
  }
  const env = given.DATABASE_URL ? given : { ...(await attachEmbedded(home)), ...given };
  return rotate(readKeyrings(env));
}

async function rotate({ databaseUrl, ...config }: ReturnType<typeof readKeyrings>) {
  const db = openDb(databaseUrl, { max: 2 });
  const bar = new SingleBar({ format: 'codes [{bar}] {value}/{total}, {eta} s left' });
  let started = false;
  const onProgress = (done: number, total: number) => {
    if (!started && total > 0) bar.start(total, 0);
    started ||= total > 0;
    if (started) bar.update(done);
  };
  try {
    const moved = await rotateKeys({ db, config, random: systemRandom }, { onProgress });
    bar.stop();
    const secrets = await resealSecrets({ db, config, random: systemRandom });
    if (secrets > 0) console.log(`The secrets of ${secrets} webhooks were sealed anew.`);
    console.log(moved === 0 ? 'Every code is under the first keys.' : `${moved} codes were moved.`);
    return 0;
  } finally {
    bar.stop();
    await db.$disconnect();
  }
}

await runToEnd(main);
