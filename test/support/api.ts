/** The API as a client meets it: real HTTP on a port of its own. */
import { inject } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import { buildServer } from '../../src/graphql/server.ts';
import { atEndOfFile } from './end-of-file.ts';
import { recordErrors } from './secrecy.ts';

export type ApiError = {
  message: string;
  path?: (string | number)[];
  extensions: { code: string; field?: string; requestId?: string };
};
export type Body = {
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by asserting it
  data?: any;
  errors?: ApiError[];
};
export type Answer = { status: number; headers: Headers; text: string; body: Body };
export type Variables = Record<string, unknown>;

export type Api = {
  url: string;
  /** `credential` goes into the header as it is; undefined: no header at all. */
  query(credential: string | undefined, document: string, variables?: Variables): Promise<Answer>;
  /** Throws when the answer has errors; for steps of a test that are not what it is about. */
  data(credential: string, document: string, variables?: Variables): Promise<Body['data']>;
  close(): Promise<void>;
};

export async function startApi(deps: Deps): Promise<Api> {
  const app = await buildServer(deps);
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const api: Api = {
    url,
    query: (credential, ...[document, variables]) =>
      post(url, { credential, body: JSON.stringify({ query: document, variables }) }),
    data: async (...call) => {
      const { body } = await api.query(...call);
      if (body.errors) throw new Error(JSON.stringify(body.errors));
      return body.data;
    },
    close: () => app.close(),
  };
  atEndOfFile(api.close);
  return api;
}

/** A POST to /graphql with a body as it is; `type` is its content type. */
export async function post(
  url: string,
  of: { credential?: string | undefined; body: string; type?: string },
): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': of.type ?? 'application/json',
      ...(of.credential === undefined ? {} : { authorization: `Bearer ${of.credential}` }),
    },
    body: of.body,
  });
  const text = await response.text();
  if (parsed(text).errors) recordErrors(inject('testHome'), text);
  return { status: response.status, headers: response.headers, text, body: parsed(text) };
}

function parsed(text: string): Body {
  try {
    return JSON.parse(text) as Body;
  } catch {
    return {};
  }
}
