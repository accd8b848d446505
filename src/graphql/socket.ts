/**
 * Subscriptions, by the protocol of graphql-ws on the URL of everything else. They pass by Apollo,
 * so what that does for a request is done here: who asks, what it may cost, what is said of errors.
 */
import type { WebSocket } from '@fastify/websocket';
import type { RouteOptions } from 'fastify';
import {
  type DocumentNode,
  type ExecutionArgs,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  type OperationDefinitionNode,
  parse,
  specifiedRules,
  validate,
} from 'graphql';
import type { SubscribePayload } from 'graphql-ws';
import type { Deps } from '../deps.ts';
import { apiMetrics } from '../http/metrics.ts';
import { badInput } from '../kernel/errors.ts';
import { authenticate, type Caller } from '../programs/index.ts';
import { authorise } from './authorise.ts';
import { type Context, idsOf } from './context.ts';
import { syntaxMessage, validationMessage, variableFaults } from './discretion.ts';
import { type Fault, faultOf } from './errors.ts';
import { costOf, limits, MAX_COST, MAX_TOKENS } from './limits.ts';
import type { LiveFeeds } from './live.ts';
import { makeLoaders } from './loaders.ts';
import { labelsOf } from './plugin.ts';
import { overSockets } from './socket-wire.ts';

const MAX_SUBSCRIPTIONS = 20;
/** That one key, or one member, may have open at this process: each costs memory and a look. */
const MAX_SOCKETS = 100;
const INIT_PATIENCE_MS = 3_000;
// A key that is revoked, or a token that runs out, ends what was begun with it.
const CHECK_EVERY_MS = 2_000;
// The protocol's own number for a credential that is missing or not in force, and one beside it.
const UNAUTHORIZED = 4401;
const TOO_MANY = 4429;

type Serving = { deps: Deps; schema: GraphQLSchema; live: LiveFeeds };
type Extra = { caller?: Caller; address: string; requestId: string; isGone(): boolean };

/** What a GET of /graphql does when it asks for a WebSocket. */
export function socketHandler(serving: Serving): NonNullable<RouteOptions['wsHandler']> {
  const { deps, schema } = serving;
  const enter = doorkeeper();
  return overSockets<Extra>(
    {
      schema,
      connectionInitWaitTimeout: INIT_PATIENCE_MS,
      onConnect: async ({ connectionParams, extra }) => {
        const header = credentialIn(connectionParams);
        const isGone = () => extra.socket.readyState !== extra.socket.OPEN;
        Object.assign(extra, { address: extra.request.ip, requestId: extra.request.id, isGone });
        const caller = await admitted(deps, { header, socket: extra.socket });
        if (!caller || !enter(caller, extra.socket)) return false;
        extra.caller = caller;
        const { id: requestId } = extra.request;
        const members = caller.kind === 'member' ? [caller.memberId] : undefined;
        deps.log.info({ requestId, ...idsOf(caller), members }, 'a socket was admitted');
        checkAgain(deps, { header, socket: extra.socket });
        return true;
      },
      onSubscribe: ({ extra, subscriptions }, ...[, payload]) => {
        const isFull = Object.keys(subscriptions).length > MAX_SUBSCRIPTIONS;
        try {
          if (isFull) throw badInput('id', `at most ${MAX_SUBSCRIPTIONS} subscriptions at once`);
          return admit(serving, { payload, extra: extra as Extra });
        } catch (error) {
          return [asGraphQL(error)];
        }
      },
      onError: ({ extra }, ...[, , errors]) => presented(deps, { errors, extra }),
      onNext: ({ extra }, ...[, , , result]) =>
        result.errors
          ? { ...result, errors: presented(deps, { errors: result.errors, extra }) }
          : undefined,
    },
    deps.log,
  );
}

/** `authorization` of connection_init, in any case of its letters, as a header would be. */
function credentialIn(params: Record<string, unknown> | undefined): string | undefined {
  const found = Object.entries(params ?? {}).find(
    ([name]) => name.toLowerCase() === 'authorization',
  )?.[1];
  return typeof found === 'string' ? found : undefined;
}

type Asking = { header: string | undefined; socket: WebSocket };

/** Undefined, and the socket closed, for a credential that is not in force. */
async function admitted(deps: Deps, { header, socket }: Asking): Promise<Caller | undefined> {
  try {
    return await authenticate(deps, header);
  } catch (error) {
    const { code, message } = faultOf(error);
    if (code === 'INTERNAL_SERVER_ERROR') deps.log.error({ err: error }, 'internal error');
    if (code === 'UNAUTHENTICATED') socket.close(UNAUTHORIZED, `${code}: ${message}`);
    else socket.close(1013, code); // "try again later"
    return undefined;
  }
}

/** Counts the sockets of each credential. False, and this one closed, where there are too many. */
function doorkeeper(): (caller: Caller, socket: WebSocket) => boolean {
  const open = new Map<string, number>();
  return (caller, socket) => {
    if (socket.readyState !== socket.OPEN) return false;
    const who = holderOf(caller);
    const count = (open.get(who) ?? 0) + 1;
    if (count > MAX_SOCKETS) {
      socket.close(TOO_MANY, 'TOO_MANY_REQUESTS: too many connections at once');
      return false;
    }
    open.set(who, count);
    socket.once('close', () => {
      const left = (open.get(who) ?? 1) - 1;
      if (left === 0) open.delete(who);
      else open.set(who, left);
    });
    return true;
  };
}

function holderOf(caller: Caller): string {
  if (caller.kind === 'root') return caller.kind;
  return caller.kind === 'key' ? caller.keyId : `${caller.programId} ${caller.memberId}`;
}

function checkAgain(deps: Deps, asking: Asking): void {
  const timer = setInterval(() => void admitted(deps, asking), CHECK_EVERY_MS);
  timer.unref();
  asking.socket.once('close', () => clearInterval(timer));
}

/** What is to be executed. Throws for whatever a POST of the same document would be refused for. */
function admit(
  { deps, schema, live }: Serving,
  { payload, extra }: { payload: SubscribePayload; extra: Extra },
): ExecutionArgs {
  const { caller, address, requestId, isGone } = extra;
  if (!caller) throw new Error('a subscription before its connection was admitted');
  const document = read(schema, payload.query);
  const operation = getOperationAST(document, payload.operationName);
  if (!operation) throw badInput('operationName', 'one of the document');
  if (operation.operation !== 'subscription')
    throw badInput('query', 'a subscription: queries and mutations are POSTed to this URL');
  const variables = payload.variables ?? {};
  authorise(schema, { caller, document, operation });
  if (costOf(schema, { document, operation, variables }) > MAX_COST)
    throw badInput('query', `a cost of at most ${MAX_COST}`);
  const [fault] = variableFaults(schema, { operation, variables });
  if (fault) throw asError(fault);
  const loaders = makeLoaders(deps, caller);
  const members = new Set<string>();
  const asker = { caller, address, requestId, isGone, members };
  const contextValue: Context = { deps, loaders, live, ...asker };
  const { operationName } = payload;
  count(deps, { schema, operation });
  return { schema, document, contextValue, variableValues: variables, operationName };
}

function read(schema: GraphQLSchema, query: string): DocumentNode {
  const document = parsed(query);
  const [error] = validate(schema, document, [...specifiedRules, ...limits]);
  if (error)
    throw asError({
      code: 'GRAPHQL_VALIDATION_FAILED',
      message: validationMessage(schema, error),
    });
  return document;
}

function parsed(query: string): DocumentNode {
  try {
    return parse(query, { maxTokens: MAX_TOKENS });
  } catch (error) {
    const message = syntaxMessage(error as GraphQLError);
    throw asError({ code: 'GRAPHQL_PARSE_FAILED', message });
  }
}

const asError = ({ code, message, field }: Fault) =>
  new GraphQLError(message, { extensions: { code, ...(field && { field }) } });

function count(deps: Deps, of: { schema: GraphQLSchema; operation: OperationDefinitionNode }) {
  const root = of.schema.getRootType(of.operation.operation);
  const { type, fields } = labelsOf(of.operation, new Set(Object.keys(root?.getFields() ?? {})));
  for (const field of fields) apiMetrics(deps).operations.inc({ type, field });
}

const asGraphQL = (error: unknown): GraphQLError =>
  error instanceof GraphQLError
    ? error
    : new GraphQLError('', { originalError: error instanceof Error ? error : null });

/**
 * As clients see them, counted; of what nobody threw on purpose the log says which it was. What
 * carries a code was said on purpose.
 */
function presented(
  deps: Deps,
  { errors, extra }: { errors: readonly GraphQLError[]; extra: Partial<Extra> },
): GraphQLError[] {
  const { requestId } = extra;
  return errors.map((error) => {
    const said = error.extensions.code ? error : asError(faultOf(error));
    const { code } = said.extensions;
    if (code === 'INTERNAL_SERVER_ERROR')
      deps.log.error({ err: error.originalError ?? error, requestId }, 'internal error');
    apiMetrics(deps).errors.inc({ code: String(code) });
    return new GraphQLError(said.message, { extensions: { ...said.extensions, requestId } });
  });
}
