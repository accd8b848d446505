import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ConfigError, checkConfig, type Env, readConfig, variables } from '../../src/config.ts';
import { willBeMade } from '../../src/embedded/index.ts';

const key = (fill: number) => Buffer.alloc(32, fill).toString('base64');
const complete: Env = {
  DATABASE_URL: 'postgresql://flash:hunter2@db.example:5432/flash',
  REDIS_URL: 'redis://cache.example:6379',
  FLASH_ROOT_KEY: 'a root key of thirty-two letters or more',
  FLASH_ENCRYPTION_KEYS: `k2:${key(2)},k1:${key(1)}`,
  FLASH_LOOKUP_KEYS: `l1:${key(3)}`,
  FLASH_TOKEN_SECRET: 'a token secret of thirty-two bytes, or more',
};

function refusalOf(changes: Env): string {
  try {
    readConfig({ ...complete, ...changes });
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  return 'accepted';
}

test('what is not set has the documented default', () => {
  const config = readConfig(complete);
  expect(config).toMatchObject({
    port: 4000,
    host: '127.0.0.1',
    lookupBudget: 10,
    trustProxy: false,
    logLevel: 'info',
    embedded: false,
  });
  expect(config.metricsToken).toBeUndefined();
  expect(config.sandboxKey).toBeUndefined();
  expect(config.advisor).toBeUndefined();
  expect(config.advisorPatienceMs).toBe(9_500);
  expect(config).toMatchObject({ redisPatienceMs: 1_000, capPatienceMs: 250 });
});

test('the advisor’s model may stand at a private address, with a key or without', () => {
  const model = { FLASH_ADVISOR_URL: 'http://10.0.0.7:8080/v1', FLASH_ADVISOR_MODEL: 'small:7b' };
  const advisor = { url: 'http://10.0.0.7:8080/v1', model: 'small:7b' };
  expect(readConfig({ ...complete, ...model }).advisor).toEqual(advisor);
  const key = { FLASH_ADVISOR_KEY: 'sk-hunter2' };
  expect(readConfig({ ...complete, ...model, ...key }).advisor).toEqual({
    ...advisor,
    key: 'sk-hunter2',
  });
  expect(readConfig({ ...complete, ...key }).advisor).toBeUndefined();
});

test('a URL of the advisor without a model is refused, beside whatever else is wrong', () => {
  const env = { FLASH_ADVISOR_URL: 'http://127.0.0.1:1/v1', PORT: 'x' };
  expect(refusalOf(env)).toMatch(/^PORT: [^\n]*\nFLASH_ADVISOR_MODEL is not set: /);
  expect(() => checkConfig(env, willBeMade(env))).toThrow(/\nFLASH_ADVISOR_MODEL is not set: /);
});

test('the first key of a ring writes and all of them read', () => {
  const { encryptionKeys } = readConfig(complete);
  expect(encryptionKeys.current.id).toBe('k2');
  expect([...encryptionKeys.all.keys()]).toEqual(['k2', 'k1']);
});

test.each([
  'DATABASE_URL',
  'REDIS_URL',
  'FLASH_ROOT_KEY',
  'FLASH_ENCRYPTION_KEYS',
  'FLASH_LOOKUP_KEYS',
  'FLASH_TOKEN_SECRET',
])('a missing %s is refused by name, and so is an empty one', (name) => {
  expect(refusalOf({ [name]: undefined })).toMatch(`${name} is not set`);
  expect(refusalOf({ [name]: ' ' })).toMatch(`${name} is not set`);
});

test('every problem is named in one error', () => {
  const message = refusalOf({ PORT: '70000', FLASH_ROOT_KEY: 'short', REDIS_URL: undefined });
  expect(message.split('\n').map((line) => line.split(/[: ]/)[0])).toEqual([
    'PORT',
    'REDIS_URL',
    'FLASH_ROOT_KEY',
  ]);
});

test.each([
  ['PORT', '-1'],
  ['PORT', '65536'],
  ['PORT', '80.5'],
  ['PORT', 'fourthousand'],
  ['DATABASE_URL', 'mysql://user:hunter2@localhost/flash'],
  ['DATABASE_URL', 'hunter2hunter2'],
  ['REDIS_URL', 'http://hunter2@localhost'],
  ['FLASH_ROOT_KEY', 'hunter2'],
  ['FLASH_ROOT_KEY', 'hunter2\u0007hunter2hunter2hunter2hunter2hunter2'],
  ['FLASH_ROOT_KEY', 'a trailing space could never match: '],
  ['FLASH_ENCRYPTION_KEYS', 'hunter2'],
  ['FLASH_ENCRYPTION_KEYS', 'k1:aHVudGVyMg=='],
  ['FLASH_ENCRYPTION_KEYS', `k1:${key(1)},`],
  ['FLASH_LOOKUP_KEYS', `hunter2:${key(1)},hunter2:${key(2)}`],
  ['FLASH_TOKEN_SECRET', 'hunter2hunter2'],
  ['FLASH_LOOKUP_BUDGET', '0'],
  ['FLASH_LOOKUP_BUDGET', 'many'],
  ['FLASH_TRUST_PROXY', 'hunter2.example'],
  ['FLASH_TRUST_PROXY', '10.0.0.0/33'],
  ['FLASH_TRUST_PROXY', '10.0.0.1,'],
  ['FLASH_LOG_LEVEL', 'hunter2'],
  ['FLASH_METRICS_TOKEN', 'hunter2 with spaces'],
  ['FLASH_ADVISOR_URL', 'hunter2'],
  ['FLASH_ADVISOR_URL', 'ftp://hunter2.example'],
  ['FLASH_ADVISOR_URL', 'https://user:hunter2@models.example/v1'],
  ['FLASH_ADVISOR_URL', 'https://models.example/v1#hunter2'],
  ['FLASH_ADVISOR_MODEL', 'hunter2\n'],
  ['FLASH_ADVISOR_KEY', 'hunter2 with spaces'],
])('%s = %j is refused by name, and the value is not repeated', (name, value) => {
  const message = refusalOf({ [name]: value });
  expect(message).toMatch(new RegExp(`^${name}: `));
  expect(message).not.toContain('hunter2');
});

test.each([
  ['true', true],
  ['false', false],
  ['10.0.0.1', ['10.0.0.1']],
  ['10.0.0.0/8, fd00::/8,loopback', ['10.0.0.0/8', 'fd00::/8', 'loopback']],
])('FLASH_TRUST_PROXY = %s is understood', (value, expected) => {
  expect(readConfig({ ...complete, FLASH_TRUST_PROXY: value }).trustProxy).toEqual(expected);
});

test('the environment cannot claim that the servers are embedded', () => {
  const config = readConfig({ ...complete, EMBEDDED: 'true', embedded: 'true' });
  expect(config.embedded).toBe(false);
});

test('with nothing set there is nothing to refuse before the embedded servers start', () => {
  expect(checkConfig({}, willBeMade({}))).toEqual({ port: 4000, host: '127.0.0.1' });
});

test('secrets are not made for a database of your own: each missing one is named', () => {
  const env = { DATABASE_URL: complete.DATABASE_URL };
  const check = () => checkConfig(env, willBeMade(env));
  expect(check).toThrow(/FLASH_ROOT_KEY is not set[\s\S]*FLASH_TOKEN_SECRET is not set/);
  expect(check).not.toThrow('REDIS_URL');
});

test('a wrong setting is refused before the embedded servers start', () => {
  const env = { PORT: 'x', FLASH_ROOT_KEY: 'short' };
  expect(() => checkConfig(env, willBeMade(env))).toThrow(/PORT: [\s\S]*FLASH_ROOT_KEY: /);
});

test('.env.example lists every variable once, under a comment', async () => {
  const lines = (await readFile('.env.example', 'utf8')).split('\n');
  const names = lines.flatMap((line) => /^([A-Z_]+)=/.exec(line)?.[1] ?? []);
  expect(names.toSorted()).toEqual([...variables].sort());
});
