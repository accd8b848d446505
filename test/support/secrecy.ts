/** Every test file's database is searched for the text of every code that was made in it. */
import pg from 'pg';
import { canonicalForm } from '../../src/coupons/canonical.ts';
import { openCode } from '../../src/coupons/vault.ts';
import { parseKeyring } from '../../src/kernel/crypto.ts';
import { type Logger, openLog } from '../../src/kernel/log.ts';
import { testKeys } from './keys.ts';
import { candidates, MIN_TELLING_LENGTH, record } from './records.ts';

const keys = {
  config: {
    encryptionKeys: parseKeyring(testKeys.FLASH_ENCRYPTION_KEYS),
    lookupKeys: parseKeyring(testKeys.FLASH_LOOKUP_KEYS),
  },
};
const SEARCHED_AS_BYTES = 200;

/** Everything that the engine would log at its most talkative, kept for the end of the run. */
export const recordedLog = (home: string): Logger =>
  openLog('trace', { write: (text: string) => record(home, { kind: 'log', text }) });

export const recordErrors = (home: string, text: string) =>
  record(home, { kind: 'errors', text: `${text}\n` });

/** Throws when a full dump of the database holds the text of one of its codes, in any spelling. */
export async function assertSecret(databaseUrl: string, home: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const texts = await textsOf(client);
    if (texts.length === 0) return;
    const dump = await dumpOf(client);
    const words = candidates(dump);
    const found = texts.filter((text) => words.has(canonicalForm(text)));
    if (found.length > 0) throw new Error(`${found.length} codes stand in a dump of the database`);
    for (const text of texts.slice(0, SEARCHED_AS_BYTES))
      if (dump.includes(Buffer.from(text).toString('hex')))
        throw new Error('a code stands in a dump of the database, as bytes');
    const lines = texts.map((text) => `${canonicalForm(text)}\n`).join('');
    record(home, { kind: 'codes', text: lines });
  } finally {
    await client.end();
  }
}

/**
 * Of codes under the tests' own keys; a file that rotates keys has others, which it looks at
 * itself.
 */
async function textsOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query(`
    SELECT program_id AS "programId", pool_id AS "poolId", id, ciphertext, key_id AS "keyId"
    FROM codes WHERE key_id = 'k1'`);
  const texts = rows.flatMap((row) => {
    try {
      return [openCode(keys, row)];
    } catch {
      return []; // made by hand with bytes that are no ciphertext, or under another k1
    }
  });
  return texts.filter((text) => canonicalForm(text).length >= MIN_TELLING_LENGTH);
}

async function dumpOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'",
  );
  const tables: string[] = [];
  for (const { name } of rows) {
    const dump = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
    tables.push(...dump.rows.map(({ row }) => row));
  }
  return tables.join('\n');
}
