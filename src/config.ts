/**
 * The only reader of the environment. Every problem is named in one error, by the variable's name
 * and what was expected; a value is never repeated, because half of them are secrets.
 */
import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import process from 'node:process';
import { z } from 'zod';
import { type Keyring, parseKeyring } from './kernel/crypto.ts';
import { SetupError } from './kernel/setup-error.ts';

export type Env = Record<string, string | undefined>;

/** An OpenAI-style endpoint: the operator's own choice, so it may well be a private address. */
export type AdvisorModel = {
  /** The base, to which `/chat/completions` is appended. */
  url: string;
  model: string;
  key?: string;
};

export type Config = {
  port: number;
  host: string;
  databaseUrl: string;
  redisUrl: string;
  /** For an answer of Redis, and for a connection to it. */
  redisPatienceMs: number;
  /** For each of two times that the tracker of the daily cap is asked. */
  capPatienceMs: number;
  rootKey: string;
  encryptionKeys: Keyring;
  lookupKeys: Keyring;
  tokenSecret: Uint8Array;
  metricsToken?: string;
  /** Where a worker shows its numbers. None: nowhere. */
  metricsPort?: number;
  /** Failed look-ups of a code that a member, or an address, has in 15 minutes. */
  lookupBudget: number;
  trustProxy: boolean | string[];
  /** The language model that speaks for the advisor. None: its rules do. */
  advisor?: AdvisorModel;
  /** For what a report of the advisor waits for: the facts, the model, and retries. */
  advisorPatienceMs: number;
  /** The base of an OTLP collector, to which `/v1/traces` is appended. None: no traces. */
  traceUrl?: string;
  /** What its spans call this process. */
  serviceName?: string;
  /** Whether webhooks may be sent to addresses that are not public ones. */
  webhookAllowPrivate: boolean;
  logLevel: string;
  /** Both servers are ours: set by dev.ts only, never by the environment. */
  embedded: boolean;
  /** The key of the sandbox program made in an embedded database, for the playground to fill in. */
  sandboxKey?: string;
};

export type Address = Pick<Config, 'port' | 'host'>;

export class ConfigError extends SetupError {
  constructor(message: string) {
    super(message);
    this.name = 'ConfigError';
  }
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
// Half a second less than a report may take in all: the answer is still to be written.
const ADVISOR_PATIENCE_MS = 9_500;
/** How soon Redis is taken for being away. */
export const REDIS_PATIENCE = { redisPatienceMs: 1_000, capPatienceMs: 250 };
const PROXY_NAMES = ['loopback', 'linklocal', 'uniquelocal'];

const required = (expected: string) =>
  z.string({ error: () => `is not set: expected ${expected}` });

function serverUrl(protocols: string[], example: string) {
  const expected = `a URL such as ${example}`;
  return required(expected).refine(
    (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol),
    `expected ${expected}`,
  );
}

function wholeNumber(range: { min: number; max: number }) {
  const isInside = (text: string) =>
    /^\d{1,9}$/.test(text) && Number(text) >= range.min && Number(text) <= range.max;
  return z
    .string()
    .refine(isInside, `expected a whole number from ${range.min} to ${range.max}`)
    .transform(Number);
}

/** An HTTP header carries ASCII and drops spaces at its ends: any other key could never match. */
const rootKey = required('at least 32 printable characters').regex(
  /^[\x21-\x7e][\x20-\x7e]{30,}[\x21-\x7e]$/,
  'expected at least 32 printable ASCII characters, without a space at either end',
);

const keyring = required('a keyring, id:base64,id:base64 with keys of 32 bytes').transform(
  (text, context) => {
    try {
      return parseKeyring(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  },
);

const tokenSecret = required('at least 32 bytes')
  .refine((text) => Buffer.byteLength(text) >= 32, 'expected at least 32 bytes')
  .transform((text) => new TextEncoder().encode(text));

function isNetwork(text: string): boolean {
  const [address = '', prefix, more] = text.split('/');
  const family = isIP(address);
  if (PROXY_NAMES.includes(text)) return true;
  if (family === 0 || more !== undefined) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && +prefix <= (family === 4 ? 32 : 128));
}

const trustProxy = z
  .string()
  .transform((text): boolean | string[] => {
    if (text === 'true' || text === 'false') return text === 'true';
    return text.split(',').map((part) => part.trim());
  })
  .refine(
    (value) => typeof value === 'boolean' || value.every(isNetwork),
    'expected true, false, or addresses and networks such as 10.0.0.1,192.168.0.0/16',
  )
  .default(false);

/** A user and password in it would be refused by fetch, in a message that repeats them. */
const advisorUrl = serverUrl(['http:', 'https:'], 'https://models.example/v1').refine(
  (text) => URL.canParse(text) && !/[@#]/.test(text),
  'expected no user, password or fragment in it: the key has a variable of its own',
);

/** In the order of .env.example, which a test keeps in step. */
const settings = z.object({
  PORT: wholeNumber({ min: 0, max: 65_535 }).default(4000),
  HOST: z.string().regex(/^\S+$/, 'expected a host name or an address').default('127.0.0.1'),
  DATABASE_URL: serverUrl(
    ['postgresql:', 'postgres:'],
    'postgresql://user:password@localhost:5432/flash',
  ),
  REDIS_URL: serverUrl(['redis:', 'rediss:'], 'redis://localhost:6379'),
  FLASH_ROOT_KEY: rootKey,
  FLASH_ENCRYPTION_KEYS: keyring,
  FLASH_LOOKUP_KEYS: keyring,
  FLASH_TOKEN_SECRET: tokenSecret,
  FLASH_METRICS_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'expected printable characters')
    .optional(),
  FLASH_METRICS_PORT: wholeNumber({ min: 0, max: 65_535 }).optional(),
  FLASH_LOOKUP_BUDGET: wholeNumber({ min: 1, max: 1_000_000 }).default(10),
  FLASH_TRUST_PROXY: trustProxy,
  FLASH_ADVISOR_URL: advisorUrl.optional(),
  FLASH_ADVISOR_MODEL: z
    .string()
    .regex(/^\P{C}{1,200}$/u, 'expected 1 to 200 printable characters')
    .optional(),
  FLASH_ADVISOR_KEY: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'expected printable ASCII characters without spaces')
    .optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: serverUrl(['http:', 'https:'], 'http://localhost:4318').optional(),
  FLASH_WEBHOOK_ALLOW_PRIVATE: z
    .enum(['true', 'false'], 'expected true or false')
    .default('false')
    .transform((text) => text === 'true'),
  FLASH_LOG_LEVEL: z.enum(LOG_LEVELS, `expected one of ${LOG_LEVELS.join(', ')}`).default('info'),
});

const checked = settings.refine(
  (data) => data.FLASH_ADVISOR_URL === undefined || data.FLASH_ADVISOR_MODEL !== undefined,
  {
    path: ['FLASH_ADVISOR_MODEL'],
    error: 'is not set: expected the name of a model, because FLASH_ADVISOR_URL is set',
    when: () => true, // also beside other problems, so that all are named at once
  },
);

/**
 * Where the embedded servers keep their data. Not part of Config: the engine itself has no use for
 * it.
 */
export const DEFAULT_HOME = '.flash';
export const variables: readonly string[] = [...Object.keys(settings.shape), 'FLASH_HOME'];

/** `NAME=` in a file, or an empty value passed on by a container, means that it is not set. */
export function withoutBlanks(env: Env): Record<string, string> {
  const set = Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== '');
  return Object.fromEntries(set) as Record<string, string>;
}

/** The process's environment, and beneath it what an `.env` file in the working directory says. */
export function readEnvironment(): Record<string, string> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return withoutBlanks(process.env);
}

/** For what needs a database and nothing else. */
export function readDatabaseUrl(env: Env): string {
  const parsed = settings.pick({ DATABASE_URL: true }).safeParse(withoutBlanks(env));
  if (!parsed.success) throw refusal(parsed.error.issues);
  return parsed.data.DATABASE_URL;
}

/** For the rotation of keys, which needs no more than the codes and their keyrings. */
export function readKeyrings(
  env: Env,
): Pick<Config, 'databaseUrl' | 'encryptionKeys' | 'lookupKeys'> {
  const wanted = {
    DATABASE_URL: true,
    FLASH_ENCRYPTION_KEYS: true,
    FLASH_LOOKUP_KEYS: true,
  } as const;
  const parsed = settings.pick(wanted).safeParse(withoutBlanks(env));
  if (!parsed.success) throw refusal(parsed.error.issues);
  const { DATABASE_URL, FLASH_ENCRYPTION_KEYS, FLASH_LOOKUP_KEYS } = parsed.data;
  return {
    databaseUrl: DATABASE_URL,
    encryptionKeys: FLASH_ENCRYPTION_KEYS,
    lookupKeys: FLASH_LOOKUP_KEYS,
  };
}

export function readConfig(env: Env): Config {
  const parsed = checked.safeParse(withoutBlanks(env));
  if (!parsed.success) throw refusal(parsed.error.issues);
  const { data } = parsed;
  return {
    port: data.PORT,
    host: data.HOST,
    databaseUrl: data.DATABASE_URL,
    redisUrl: data.REDIS_URL,
    ...REDIS_PATIENCE,
    rootKey: data.FLASH_ROOT_KEY,
    encryptionKeys: data.FLASH_ENCRYPTION_KEYS,
    lookupKeys: data.FLASH_LOOKUP_KEYS,
    tokenSecret: data.FLASH_TOKEN_SECRET,
    ...(data.FLASH_METRICS_TOKEN === undefined ? {} : { metricsToken: data.FLASH_METRICS_TOKEN }),
    ...(data.FLASH_METRICS_PORT === undefined ? {} : { metricsPort: data.FLASH_METRICS_PORT }),
    lookupBudget: data.FLASH_LOOKUP_BUDGET,
    trustProxy: data.FLASH_TRUST_PROXY,
    ...advisorOf(data),
    advisorPatienceMs: ADVISOR_PATIENCE_MS,
    ...(data.OTEL_EXPORTER_OTLP_ENDPOINT && { traceUrl: data.OTEL_EXPORTER_OTLP_ENDPOINT }),
    webhookAllowPrivate: data.FLASH_WEBHOOK_ALLOW_PRIVATE,
    logLevel: data.FLASH_LOG_LEVEL,
    embedded: false,
  };
}

function advisorOf(data: z.infer<typeof settings>): Pick<Config, 'advisor'> {
  const { FLASH_ADVISOR_URL: url, FLASH_ADVISOR_MODEL: model, FLASH_ADVISOR_KEY: key } = data;
  if (url === undefined || model === undefined) return {};
  return { advisor: { url, model, ...(key && { key }) } };
}

/**
 * Refuses what `willBeMade` (the names that embedded servers are going to fill in) cannot put
 * right, before any server has been started for nothing.
 */
export function checkConfig(env: Env, willBeMade: readonly string[]): Address {
  const set = withoutBlanks(env);
  const issues = checked.safeParse(set).error?.issues.filter(({ path: [name] }) => {
    return set[String(name)] !== undefined || !willBeMade.includes(String(name));
  });
  if (issues && issues.length > 0) throw refusal(issues);
  const { PORT, HOST } = settings.pick({ PORT: true, HOST: true }).parse(set);
  return { port: PORT, host: HOST };
}

function refusal(issues: readonly z.core.$ZodIssue[]): ConfigError {
  return new ConfigError(issues.map(describe).join('\n'));
}

function describe({ path: [name], message }: z.core.$ZodIssue): string {
  const colon = message.startsWith('is not set') ? '' : ':';
  return `${String(name)}${colon} ${message}`;
}
