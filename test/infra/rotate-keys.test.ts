/** The rotation of keys as somebody does it beside a running `npm start`. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runningAt } from '../../src/embedded/postgres.ts';
import { post } from '../support/api.ts';
import { type Home, postgresFolder, temporaryHome } from '../support/home.ts';
import { type DevProcess, end, runProgram, startDev } from '../support/process.ts';
import { PATIENCE } from '../support/torture.ts';

let home: Home;
beforeAll(async () => {
  home = await temporaryHome();
});
afterAll(() => home.remove());

const settings = () => ({ FLASH_HOME: home.folder, PORT: '0' });

async function rotateKeys(...args: string[]): Promise<{ code: number | null; said: string }> {
  const program = runProgram('src/rotate-keys.ts', { env: settings(), args });
  const code = await program.closed;
  return { code, said: program.output() };
}

async function ask(dev: DevProcess, query: string, variables = {}) {
  const body = JSON.stringify({ query, variables });
  const answer = await post(dev.origin, { credential: dev.sandboxKey, body });
  if (answer.body.errors || !answer.body.data) throw new Error(answer.text);
  return answer.body.data;
}

const CLAIM = `mutation ($poolId: ID!, $email: EmailAddress!) {
  claimCode(input: { poolId: $poolId, email: $email }) {
    ... on ClaimCodeSuccess { plaintext alreadyClaimed code { id } } } }`;

async function claim(dev: DevProcess, email: string) {
  const { pools } = await ask(dev, '{ pools { nodes { id } } }');
  const poolId = pools.nodes[0].id;
  return (await ask(dev, CLAIM, { poolId, email })).claimCode;
}

const REDEEM = `mutation ($code: String!) {
  redeemCode(input: { code: $code, orderId: $code, orderAmount: 10000 }) {
    ... on RedeemCodeSuccess { code { id status } } ... on Refusal { reason } } }`;

const redeem = async (dev: DevProcess, code: string) =>
  (await ask(dev, REDEEM, { code: code.toLowerCase() })).redeemCode;

type InUse = { encryption: string; lookup: string; codes: number };

/** Which keys the codes stand under, by the database itself. */
async function keysInUse(): Promise<InUse[]> {
  const connectionString = await runningAt(await postgresFolder(home.folder), 'flash');
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<InUse>(`
      SELECT key_id AS encryption, lookup_key_id AS lookup, count(*)::int AS codes
      FROM codes GROUP BY key_id, lookup_key_id`);
    return rows;
  } finally {
    await client.end();
  }
}

/** The ids of the keys that stand in front. */
async function firstKeys(): Promise<Pick<InUse, 'encryption' | 'lookup'>> {
  const keys = JSON.parse(await readFile(path.join(home.folder, 'keys.json'), 'utf8'));
  const first = (keyring: string) => keyring.split(':')[0] as string;
  return {
    encryption: first(keys.FLASH_ENCRYPTION_KEYS),
    lookup: first(keys.FLASH_LOOKUP_KEYS),
  };
}

test('--help prints how it is used, and needs nothing', async () => {
  const { code, said } = await rotateKeys('--help');
  expect(code).toBe(0);
  expect(said).toMatch(/^Usage: npm run rotate-keys/);
  expect(said).toContain('--add-keys');
});

test('where there is no embedded database it says so, and adds no keys', PATIENCE, async () => {
  for (const refused of await Promise.all([rotateKeys(), rotateKeys('--add-keys')])) {
    expect(refused.code).toBe(1);
    expect(refused.said).toMatch(/ holds no embedded database of Flash\n$/);
  }
  await expect(stat(path.join(home.folder, 'keys.json'))).rejects.toThrow('ENOENT');
});

const DONE = { code: 0, said: 'Every code is under the first keys.\n' };

test(
  'keys are added, refused until the restart, and then every code is under them',
  PATIENCE,
  async () => {
    const before = await startDev(settings());
    const first = await claim(before, 'early@example.com');
    const old = await keysInUse();
    expect(await rotateKeys()).toEqual(DONE);

    const added = await rotateKeys('--add-keys');
    expect(added).toMatchObject({ code: 0, said: expect.stringContaining('Restart npm start') });
    const refused = await rotateKeys();
    expect(refused).toMatchObject({ code: 1, said: expect.stringMatching(/restart it\n$/) });
    expect(await keysInUse()).toEqual(old);
    expect(await claim(before, 'early@example.com')).toEqual({ ...first, alreadyClaimed: true });

    await end(before, 'SIGTERM');
    const after = await startDev(settings());
    expect(after.sandboxKey).toBe(before.sandboxKey);
    const moved = await rotateKeys();
    expect(moved).toMatchObject({
      code: 0,
      said: expect.stringMatching(/^100 codes were moved\.$/m),
    });
    const [now, ...others] = await keysInUse();
    expect(others).toEqual([]);
    expect(now).toMatchObject({ codes: 100, ...(await firstKeys()) });
    expect(now?.encryption).not.toBe(old[0]?.encryption);
    expect(now?.lookup).not.toBe(old[0]?.lookup);

    expect(await claim(after, 'early@example.com')).toEqual({ ...first, alreadyClaimed: true });
    const second = await claim(after, 'late@example.com');
    expect(second).toMatchObject({ alreadyClaimed: false });
    expect(second.code.id).not.toBe(first.code.id);
    for (const { plaintext, code } of [first, second]) {
      expect(await redeem(after, plaintext)).toEqual({ code: { id: code.id, status: 'REDEEMED' } });
    }
  },
);
