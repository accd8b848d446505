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
const PAGE = 20_000;

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
    const codes = new Set(texts.map(canonicalForm));
    const asBytes = texts
      .slice(0, SEARCHED_AS_BYTES)
      .map((text) => Buffer.from(text).toString('hex'));
    for await (const dump of dumpOf(client)) {
      const found = [...candidates(dump)].filter((word) => codes.has(word));
      if (found.length > 0)
        throw new Error(`${found.length} codes stand in a dump of the database`);
      if (asBytes.some((bytes) => dump.includes(bytes)))
        throw new Error('a code stands in a dump of the database, as bytes');
    }
    record(home, { kind: 'codes', text: [...codes].map((code) => `${code}\n`).join('') });
  } finally {
    await client.end();
  }
}

type Sealed = Parameters<typeof openCode>[1];

/**
 * Of codes under the tests' own keys; a file that rotates keys has others, which it looks at
 * itself.
 */
async function textsOf(client: pg.Client): Promise<string[]> {
  const sealed = `
    SELECT program_id AS "programId", pool_id AS "poolId", id, ciphertext, key_id AS "keyId"
    FROM codes WHERE key_id = 'k1'`;
  const texts: string[] = [];
  for await (const rows of pagesOf<Sealed>(client, sealed))
    for (const row of rows) {
      try {
        texts.push(openCode(keys, row));
      } catch {
        // Made by hand with bytes that are no ciphertext, or under another k1.
      }
    }
  return texts.filter((text) => canonicalForm(text).length >= MIN_TELLING_LENGTH);
}

/** A page of rows at a time: the long form makes more than fits into one text. */
async function* dumpOf(client: pg.Client): AsyncGenerator<string> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'",
  );
  for (const { name } of rows)
    for await (const page of pagesOf<{ row: string }>(
      client,
      `SELECT t::text AS row FROM ${name} t`,
    ))
      yield page.map(({ row }) => row).join('\n');
}

async function* pagesOf<Row extends pg.QueryResultRow>(
  client: pg.Client,
  sql: string,
): AsyncGenerator<Row[]> {
  await client.query('BEGIN');
  await client.query(`DECLARE pages CURSOR FOR ${sql}`);
  for (;;) {
    const { rows } = await client.query<Row>(`FETCH ${PAGE} FROM pages`);
    if (rows.length === 0) break;
    yield rows;
  }
  await client.query('COMMIT');
}
