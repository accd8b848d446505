/**
 * A client of the public API: GraphQL by POST over connections that stay open. It knows nothing of
 * the engine's own code, as a merchant's server would not.
 */
import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

/** The API coalesces what comes in together, so more in flight is cheaper for each. */
export const CONCURRENCY = 64;

const RETRIES = 5;
const BACKOFF_MS = 50;

/** A document that knows what it asks for and what it answers. */
export type Operation<Variables, Answer> = {
  text: string;
  /** Only a type: it holds the two together. */
  shape?: (variables: Variables) => Answer;
};

export const operation = <Variables, Answer>(text: string): Operation<Variables, Answer> => ({
  text,
});

export type Api = {
  /** Rejects with an ApiError for a mistake, and for whatever is no answer of GraphQL. */
  call<Variables, Answer>(
    operation: Operation<Variables, Answer>,
    variables: Variables,
  ): Promise<Answer>;
  /** The same connections with another key. */
  as(key: string): Api;
  close(): void;
};

/** Neither the API's messages nor these repeat a value that was sent. */
export class ApiError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.name = 'ApiError';
    this.code = code;
  }
}

type Line = { url: URL; agent: http.Agent; transport: typeof http | typeof https };

/** `url` is where the API is, with or without `/graphql`. */
export function connect(url: string, key: string): Api {
  const where = new URL('/graphql', url);
  const transport = where.protocol === 'https:' ? https : http;
  const agent = new transport.Agent({ keepAlive: true, maxSockets: CONCURRENCY });
  return over({ url: where, agent, transport }, key);
}

function over(line: Line, key: string): Api {
  return {
    call: ({ text }, ...[variables]) =>
      insist(async () => answerOf(await post(line, { key, body: { query: text, variables } }))),
    as: (other) => over(line, other),
    close: () => line.agent.destroy(),
  };
}

/** Everything that the demo asks for may be asked for again, so a busy server is asked again. */
export async function insist<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      const isBusy = error instanceof ApiError && error.code === 'SERVICE_UNAVAILABLE';
      if (!isBusy || attempt === RETRIES) throw error;
      await sleep(BACKOFF_MS * attempt);
    }
  }
}

type Sent = { key: string; body: object };
type Received = { status: number; text: string };

function post({ url, agent, transport }: Line, { key, body }: Sent): Promise<Received> {
  const bytes = Buffer.from(JSON.stringify(body));
  const headers = {
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
    'content-length': bytes.length,
  };
  return new Promise((resolve, reject) => {
    const request = transport.request(url, { method: 'POST', agent, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }),
      );
    });
    request.on('error', reject);
    request.end(bytes);
  });
}

type Body<Answer> = {
  data?: Answer | null;
  errors?: { message: string; extensions?: { code?: string } }[];
};

function answerOf<Answer>({ status, text }: Received): Answer {
  const body = bodyOf<Answer>(text);
  const [mistake] = body?.errors ?? [];
  if (mistake) throw new ApiError(mistake.extensions?.code ?? `HTTP ${status}`, mistake.message);
  if (!body?.data) throw new ApiError(`HTTP ${status}`, 'expected an answer of GraphQL');
  return body.data;
}

function bodyOf<Answer>(text: string): Body<Answer> | undefined {
  try {
    return JSON.parse(text) as Body<Answer>;
  } catch {
    return undefined;
  }
}

/** Up to CONCURRENCY at once. After the first failure nothing more is begun. */
export async function forEach<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      try {
        await work(items[next++] as Item);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, lane));
}
