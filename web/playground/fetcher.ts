import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit';
import { hasCredential } from './page.ts';

const NO_KEY = {
  errors: [{ message: 'No key yet: put a secret key or a member token into "Headers" below.' }],
};

/** Asks this page's own server, and shows each answer to `onAnswer`, too. */
export function createFetcher(onAnswer: (answer: unknown) => void): Fetcher {
  const send = createGraphiQLFetcher({ url: '/graphql', enableIncrementalDelivery: false });
  return async (params, options) => {
    const isSchema = params.operationName === 'IntrospectionQuery';
    // Without a credential the schema is refused: better said in words than by a red line.
    if (isSchema && !hasCredential(options?.headers)) return NO_KEY;
    const answer = await send(params, options);
    if (!isSchema) onAnswer(answer);
    return answer;
  };
}
