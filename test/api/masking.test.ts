import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import { describeError } from '../../src/kernel/log.ts';
import { startApi } from '../support/api.ts';
import { testDatabase, testDeps } from '../support/database.ts';
import { aWorld } from '../support/world.ts';

const databaseUrl = await testDatabase();
const deps = await testDeps({ databaseUrl });
const { secretKey, email, plaintext, pool } = await aWorld(deps);

/** Deps that log into a list, as the process would onto its output. */
function listening(more: Partial<Deps> = {}) {
  const lines: string[] = [];
  const out = new Writable({
    write(chunk, ...[, done]) {
      lines.push(String(chunk));
      done();
    },
  });
  const log = pino({ level: 'info', serializers: { err: describeError } }, out);
  return { lines, deps: { ...deps, ...more, log } as Deps };
}

/** A database of which one model fails as a driver does: with all it knows in the message. */
function failing(error: Error): Deps['db'] {
  const pools = { findMany: () => Promise.reject(error) };
  return new Proxy(deps.db, {
    get: (db, name) => (name === 'pool' ? pools : Reflect.get(db, name)),
  });
}

const ask = (at: { url: string; query: (...call: [string, string]) => Promise<unknown> }) =>
  at.query(secretKey, '{ pools { nodes { id } } }') as Promise<{
    status: number;
    text: string;
    body: { errors?: { message: string; extensions: { code: string; requestId?: string } }[] };
    headers: Headers;
  }>;

test('what nobody threw on purpose is an internal error: an id and no detail', async () => {
  const error = new Error(`duplicate key: (${email}, ${plaintext})`);
  const { lines, deps: heard } = listening({ db: failing(error) });
  const api = await startApi(heard);
  const answer = await ask(api);
  expect(answer.status).toBe(500);
  const told = answer.body.errors?.[0];
  expect(told?.extensions.code).toBe('INTERNAL_SERVER_ERROR');
  expect(told?.extensions.requestId).toBe(answer.headers.get('x-request-id'));
  for (const said of [answer.text, ...lines]) {
    expect(said).not.toContain(email);
    expect(said).not.toContain(plaintext);
  }
  expect(answer.text).not.toMatch(/duplicate|node_modules|\.ts/);
  const logged = lines.find((line) => line.includes('internal error')) ?? '';
  expect(logged).toContain(String(told?.extensions.requestId));
  expect(logged).toContain('masking.test.ts'); // where it happened
});

test('a request leaves one line, without anything that the client wrote', async () => {
  const { lines, deps: heard } = listening();
  const api = await startApi(heard);
  await api.query(
    secretKey,
    `mutation Zebra {
      claimCode(input: { poolId: "${pool.id}", email: "zebra@example.com" }) { __typename } }`,
  );
  await fetch(`${api.url}/zebra?token=zebra`);
  expect(lines).toHaveLength(2);
  const [first] = lines.map((line) => JSON.parse(line));
  expect(first).toMatchObject({ method: 'POST', route: '/graphql', status: 200 });
  for (const line of lines) expect(line).not.toMatch(/zebra|127\.0\.0\.1|flash_sk_/i);
});

test('a database that is away is SERVICE_UNAVAILABLE, for every caller who needs it', async () => {
  const away = await testDeps({ databaseUrl });
  const broken = { ...away, db: (await lost()).db };
  const api = await startApi(broken);
  const answer = await ask(api);
  expect([answer.status, answer.body.errors?.[0]?.extensions.code]).toEqual([
    503,
    'SERVICE_UNAVAILABLE',
  ]);
});

/** Connections to a server that does not answer any more. */
async function lost(): Promise<Deps> {
  const { openDb } = await import('../../src/kernel/db.ts');
  const url = new URL(databaseUrl);
  url.port = '1';
  return { ...deps, db: openDb(url.href) };
}
