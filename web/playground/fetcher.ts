import { createGraphiQLFetcher, type Fetcher, type FetcherParams } from '@graphiql/toolkit';
import { GraphQLError } from 'graphql';
import { hasCredential } from './page.ts';

const NO_KEY = {
  errors: [
    new GraphQLError('No key yet: put a secret key or a member token into "Headers" below.'),
  ],
};

type Options = {
  /** For the schema, which GraphiQL asks for before there is an editor to read headers from. */
  headers: Record<string, string>;
  onAnswer(answer: unknown): void;
};

/** Asks this page's own server, and shows each answer to `onAnswer`, too. */
export function createFetcher({ headers, onAnswer }: Options): Fetcher {
  const send = createGraphiQLFetcher({
    url: '/graphql',
    // Its connection_init carries the headers of the tab.
    subscriptionUrl: new URL('/graphql', location.href).href.replace(/^http/, 'ws'),
    enableIncrementalDelivery: false,
  });
  return async (params, options) => {
    if (params.operationName === 'IntrospectionQuery') {
      const asked = { ...options, headers: options?.headers ?? headers };
      // Without a credential the schema is refused: better said in words than by a red line.
      return hasCredential(asked.headers) ? send(params, asked) : NO_KEY;
    }
    const answer = await send({ ...params, operationName: nameIn(params) }, options);
    if (!isStream(answer)) onAnswer(answer);
    return answer;
  };
}

/** What a subscription is answered with: many results, none of which fills in the next step. */
const isStream = (answer: object): boolean =>
  Symbol.asyncIterator in answer || 'subscribe' in answer;

/** GraphiQL reads a new text a moment later than it shows it, and until then names the old one. */
function nameIn({ query, operationName }: FetcherParams): string | undefined {
  const isThere = new RegExp(`\\b(query|mutation|subscription)\\s+${operationName}\\b`).test(query);
  return operationName && isThere ? operationName : undefined;
}
