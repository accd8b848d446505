import { readFile } from 'node:fs/promises';
import { ApolloServer } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import { fastifyApolloHandler } from '@as-integrations/fastify';
import { makeExecutableSchema } from '@graphql-tools/schema';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import type { GraphQLSchema } from 'graphql';
import type { Deps } from '../deps.ts';
import { registerCampaignCodes } from '../http/campaign-codes.ts';
import { registerHealth } from '../http/health.ts';
import { apiMetrics, registerMetrics } from '../http/metrics.ts';
import { registerPlayground } from '../http/playground.ts';
import { traced } from '../kernel/trace.ts';
import { ledgerMetrics } from '../loyalty/index.ts';
import { webhookMetrics } from '../webhooks/index.ts';
import { fleetMetrics } from '../workers/index.ts';
import { guard } from './authorise.ts';
import { type Context, contextOf, idsFor, makeContext } from './context.ts';
import { errorBody, type Fault, faultOf, httpStatus } from './errors.ts';
import { limits, MAX_BODY_BYTES, MAX_TOKENS } from './limits.ts';
import { LiveFeeds } from './live.ts';
import { formatError, requestPlugin } from './plugin.ts';
import { resolvers } from './resolvers/index.ts';
import { socketHandler } from './socket.ts';
import { acceptSockets } from './socket-wire.ts';

const SCHEMA = new URL('../../schema.graphql', import.meta.url);
// A body that trickles in for longer holds a connection for nothing.
const REQUEST_TIMEOUT_MS = 30_000;
const REQUEST_ID_BYTES = 9;
const HANG_UP_EVERY_MS = 50;

/** The schema with its resolvers, and the rules of access.ts before each of them. */
export async function buildSchema(): Promise<GraphQLSchema> {
  const typeDefs = await readFile(SCHEMA, 'utf8');
  const schema = makeExecutableSchema({ typeDefs, resolvers });
  guard(schema);
  return schema;
}

/** The whole API, not yet listening. Closing it lets requests in flight come to their end. */
export async function buildServer(deps: Deps): Promise<FastifyInstance> {
  const app = Fastify({
    logger: false,
    trustProxy: deps.config.trustProxy,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    requestIdHeader: false,
    genReqId: requestIds(deps),
  });
  app.removeContentTypeParser('text/plain');
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  hangUpWhenClosing(app);
  logRequests(app, deps);
  answerErrors(app, deps);
  const schema = await buildSchema();
  const live = new LiveFeeds(deps);
  await acceptSockets(app);
  await serveGraphql(app, { deps, schema, live });
  registerCampaignCodes(app, deps);
  registerHealth(app, deps);
  registerMetrics(app, deps);
  fleetMetrics(deps);
  webhookMetrics(deps);
  ledgerMetrics(deps);
  await registerPlayground(app, { deps, wsHandler: socketHandler({ deps, schema, live }) });
  return app;
}

/**
 * A connection that is busy when the server begins to close is kept alive after its answer, and
 * closing would wait for the client to hang up.
 */
function hangUpWhenClosing(app: FastifyInstance): void {
  app.addHook('preClose', async () => {
    const timer = setInterval(() => app.server.closeIdleConnections(), HANG_UP_EVERY_MS);
    app.server.once('close', () => clearInterval(timer));
    timer.unref();
  });
}

async function serveGraphql(
  app: FastifyInstance,
  { deps, schema, live }: { deps: Deps; schema: GraphQLSchema; live: LiveFeeds },
): Promise<void> {
  const apollo = new ApolloServer<Context>({
    schema,
    introspection: true, // for whoever has a credential: nobody else comes this far
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    persistedQueries: false,
    includeStacktraceInErrorResponses: false,
    nodeEnv: 'production',
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: MAX_TOKENS },
    validationRules: limits,
    formatError: formatError(schema),
    logger: quietLogger(deps),
    plugins: [
      requestPlugin(schema),
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
    ],
  });
  await apollo.start();
  app.addHook('onClose', () => apollo.stop());
  const answer = fastifyApolloHandler(apollo, {
    context: async (request) => contextOf(request) as Context,
  });
  app.post('/graphql', {
    // Before the body is read: a stranger's two megabytes are not worth parsing.
    onRequest: async (request) => void (await makeContext({ deps, live }, request)),
    handler: (request, reply) =>
      traced('graphql', {}, async () => answer.call(app, request, reply)),
  });
}

/** Unique in the whole fleet: drawn once for the process, then counted. */
function requestIds({ random }: Deps): () => string {
  const process = random.bytes(REQUEST_ID_BYTES).toString('base64url');
  let count = 0;
  return () => `${process}-${(++count).toString(36)}`;
}

/** One line a request, without anything that a client wrote: no path, no address, no body. */
function logRequests(app: FastifyInstance, deps: Deps): void {
  app.addHook('onResponse', async (request, reply) => {
    deps.log.info(
      {
        requestId: request.id,
        method: request.method,
        route: request.routeOptions.url ?? 'unknown',
        status: reply.statusCode,
        milliseconds: Math.round(reply.elapsedTime),
        ...idsFor(request),
      },
      'request',
    );
  });
}

/** Everything that does not come from GraphQL, in the same shape as what does. */
function answerErrors(app: FastifyInstance, deps: Deps): void {
  app.setErrorHandler((error: FastifyError, ...[request, reply]) => {
    const fault = transportFault(error) ?? faultOf(error);
    if (fault.code === 'INTERNAL_SERVER_ERROR')
      deps.log.error({ err: error, requestId: request.id }, 'internal error');
    apiMetrics(deps).errors.inc({ code: fault.code });
    // A body that is too large or no JSON keeps HTTP's own number for it.
    const status =
      error.statusCode === 413 || error.statusCode === 415 ? error.statusCode : undefined;
    return reply.code(status ?? httpStatus[fault.code]).send(errorBody(fault, request.id));
  });
  app.setNotFoundHandler((request, reply) => {
    const fault: Fault = { code: 'NOT_FOUND', message: 'path: no such thing here' };
    return reply.code(404).send(errorBody(fault, request.id));
  });
}

/** Of Fastify's errors only the number: the messages may quote the body. */
function transportFault(error: FastifyError): Fault | undefined {
  if (error.code === 'ERR_INVALID_URL')
    // the handler makes one of the Host header
    return { code: 'BAD_USER_INPUT', message: 'Host: expected the name of a host' };
  const expected: Record<number, string> = {
    400: 'JSON',
    413: `at most ${MAX_BODY_BYTES} bytes`,
    415: 'the content type application/json',
  };
  const wanted = expected[error.statusCode ?? 0];
  return wanted === undefined
    ? undefined
    : { code: 'BAD_USER_INPUT', message: `body: expected ${wanted}` };
}

/** Apollo's own log lines may hold an error's message, and that a value. */
function quietLogger({ log }: Deps) {
  const say = (level: 'warn' | 'error') => (message?: unknown) =>
    log[level](message instanceof Error ? { err: message } : {}, 'GraphQL server');
  return { debug: () => {}, info: () => {}, warn: say('warn'), error: say('error') };
}
