import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { beforeAll, expect, test } from 'vitest';
import type { Config } from '../../src/config.ts';
import type { OpenDeps } from '../../src/deps.ts';
import { buildServer } from '../../src/graphql/server.ts';
import { isLocalName, renderPage } from '../../src/http/playground.ts';
import type { ProgramId, SecretKeyId } from '../../src/kernel/ids.ts';
import { authenticate, revokeSecretKey } from '../../src/programs/index.ts';
import { type Api, startApi } from '../support/api.ts';
import { testDatabase, testDeps } from '../support/database.ts';
import { aSandbox, type Sandbox } from '../support/sandbox.ts';

type Fetched = { status: number; headers: Record<string, unknown>; html: string };

/** By hand, because fetch() writes the Host header itself. */
function get(url: string, headers: Record<string, string> = {}): Promise<Fetched> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers }, (response) => {
      let html = '';
      response.setEncoding('utf8').on('data', (text) => {
        html += text;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, html }),
      );
    });
    sent.on('error', reject).end();
  });
}

const SLOT = /<script type="application\/json" id="page">(.*?)<\/script>/s;
const pageIn = (html: string) => JSON.parse(SLOT.exec(html)?.[1] ?? 'null');

let databaseUrl: string;
let deps: OpenDeps;
let sandbox: Sandbox;
let api: Api;
beforeAll(async () => {
  databaseUrl = await testDatabase();
  sandbox = await aSandbox(await testDeps({ databaseUrl }));
  deps = await depsWith({ embedded: true, sandboxKey: sandbox.secretKey });
  api = await startApi(deps);
});

const depsWith = (config: Partial<Config>) => testDeps({ databaseUrl, config });

test('the owner of embedded servers is given the key, the pool and the member', async () => {
  const { status, html } = await get(`${api.url}/graphql`);
  expect(status).toBe(200);
  const { secretKey, poolId, memberId } = sandbox;
  expect(pageIn(html)).toEqual({ key: secretKey, values: { poolId, memberId } });
});

test.each([
  ['localhost', true],
  ['LOCALHOST:4000', true],
  ['localhost:65535', true],
  ['127.0.0.1', true],
  ['127.0.0.1:4000', true],
  ['[::1]', true],
  ['[::1]:4000', true],
  ['localhost.', false],
  ['localhost.evil.example', false],
  ['evil.example', false],
  ['evil.example:4000', false],
  ['127.0.0.1.evil.example', false],
  ['127.0.0.2', false],
  ['0.0.0.0:4000', false],
  ['[::ffff:127.0.0.1]', false],
  ['10.0.0.7:4000', false],
  ['user@localhost', false],
  ['localhost:4000,evil.example', false],
])('a page that is asked for as %j has the key: %s', async (host, isGiven) => {
  const { status, html } = await get(`${api.url}/graphql`, { host });
  expect(status).toBe(200);
  expect(html.includes(sandbox.secretKey)).toBe(isGiven);
  if (!isGiven) expect(pageIn(html)).toEqual({});
  expect(isLocalName(host)).toBe(isGiven);
});

test('a request without a Host header, or with an empty one, is given no key', () => {
  expect(isLocalName(undefined)).toBe(false);
  expect(isLocalName('')).toBe(false);
});

test.each([
  ['127.0.0.1', true],
  ['127.8.9.10', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['10.0.0.7', false],
  ['192.0.2.127', false],
  ['::ffff:10.0.0.7', false],
  ['2001:db8::127', false],
  ['::', false],
])('a peer at %s is given the key: %s', async (remoteAddress, isGiven) => {
  const app = await buildServer(deps);
  const headers = { host: 'localhost:4000' };
  const answer = await app.inject({ url: '/graphql', headers, remoteAddress });
  await app.close();
  expect(pageIn(answer.body)).toEqual(
    isGiven ? expect.objectContaining({ key: sandbox.secretKey }) : {},
  );
});

test('whoever comes by another interface of this machine is given no key', async () => {
  const app = await buildServer(deps);
  const port = new URL(await app.listen({ port: 0, host: '0.0.0.0' })).port;
  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const others = interfaces.filter(({ family, internal }) => family === 'IPv4' && !internal);
  for (const { address } of others) {
    const { html } = await get(`http://${address}:${port}/graphql`, { host: `localhost:${port}` });
    expect(pageIn(html)).toEqual({});
  }
  const { html } = await get(`http://127.0.0.1:${port}/graphql`);
  await app.close();
  expect(pageIn(html).key).toBe(sandbox.secretKey);
});

test.each(['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'])(
  'a proxy that says so with %s is given no key, trusted or not',
  async (name) => {
    const trusting = await startApi(
      await depsWith({ embedded: true, sandboxKey: sandbox.secretKey, trustProxy: true }),
    );
    for (const { url } of [api, trusting]) {
      const { html } = await get(`${url}/graphql`, { [name]: '127.0.0.1' });
      expect(pageIn(html)).toEqual({});
    }
  },
);

test.each<[string, (key: string) => Partial<Config>]>([
  ['servers of somebody else', (sandboxKey) => ({ embedded: false, sandboxKey })],
  ['no sandbox', () => ({ embedded: true })],
  [
    'a key that no longer exists',
    (key) => ({ embedded: true, sandboxKey: key.replace(/.$/, (c) => (c === 'A' ? 'B' : 'A')) }),
  ],
  ['what is no key at all', () => ({ embedded: true, sandboxKey: '</script>' })],
])('with %s the page opens without a key', async (_, config) => {
  const { url } = await startApi(await depsWith(config(sandbox.secretKey)));
  const { status, html } = await get(`${url}/graphql`);
  expect(status).toBe(200);
  expect(pageIn(html)).toEqual({});
  expect(html).not.toContain('flash_sk_');
});

test('a key that has been revoked is not filled in', async () => {
  const other = await aSandbox(deps);
  const config = { embedded: true, sandboxKey: other.secretKey };
  const { url } = await startApi(await depsWith(config));
  expect(pageIn((await get(`${url}/graphql`)).html).key).toBe(other.secretKey);
  await revoke(other);
  expect(pageIn((await get(`${url}/graphql`)).html)).toEqual({});
});

async function revoke({ secretKey }: Sandbox): Promise<void> {
  const caller = await authenticate(deps, `Bearer ${secretKey}`);
  if (caller.kind !== 'key') throw new Error('expected a key');
  const of = { programId: caller.programId as ProgramId, id: caller.keyId as SecretKeyId };
  await revokeSecretKey(deps, of);
}

test('the page is kept by nobody, framed by nobody, and loads nothing from elsewhere', async () => {
  const { headers, html } = await get(`${api.url}/graphql`);
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'content-type': 'text/html; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
  });
  const policy = String(headers['content-security-policy']);
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).toMatch(/script-src 'self'(;|$)/);
  expect(policy).not.toMatch(/https?:|\*|unsafe-eval|blob:/);
  expect(html).toContain('<title>Flash playground</title>');
  expect(html.match(/(src|href)="(?!\/playground\/)/g)).toBeNull();
  // A script element with code in it would not run under this policy.
  expect(html.match(/<script(?![^>]*(application\/json|src=))/g)).toBeNull();
});

test('what the page is made of is served for ever, each under the hash of what it is', async () => {
  const { html } = await get(`${api.url}/graphql`);
  const files = [...html.matchAll(/(?:src|href)="(\/playground\/[^"]+)"/g)].map(([, file]) => file);
  expect(files.length).toBeGreaterThan(2);
  for (const file of files) {
    const { status, headers } = await get(`${api.url}${file}`);
    expect(status).toBe(200);
    expect(file).toMatch(/-[\w-]{8}\.(js|css|svg)$/);
    expect(headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'x-content-type-options': 'nosniff',
      'content-type': expect.stringMatching(/^(application\/javascript|text\/css|image\/svg)/),
    });
  }
});

test.each([
  '/playground/',
  '/playground/index.html',
  '/playground/%69ndex.html',
  '/playground//index.html',
  '/playground/./index.html',
  '/playground/../index.html',
  '/playground/..%2findex.html',
  '/playground/..%2f..%2fpackage.json',
  '/playground/%2e%2e/vite.config.ts',
  '/playground/nothing.js',
])('%s is not to be had', async (path) => {
  const { hostname, port } = new URL(api.url);
  const status = await new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on('error', reject).end();
  });
  expect(status).toBe(404);
});

test('nothing that is given to the page can end the element that it is given in', () => {
  const hostile = { key: '</script><script>alert(1)</script><!-- $& $1', values: {} };
  const html = renderPage('<script type="application/json" id="page">{}</script>', hostile);
  expect(html.match(/<\/?script|<!--/g)).toEqual(['<script', '</script']);
  expect(pageIn(html)).toEqual(hostile);
});
