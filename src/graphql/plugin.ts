import type {
  ApolloServerPlugin,
  GraphQLRequestContext,
  GraphQLRequestContextDidResolveOperation,
  GraphQLRequestContextWillSendResponse,
} from '@apollo/server';
import {
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
} from 'graphql';
import { apiMetrics } from '../http/metrics.ts';
import { badInput } from '../kernel/errors.ts';
import { renameSpan } from '../kernel/trace.ts';
import { authorise } from './authorise.ts';
import type { Context } from './context.ts';
import { syntaxMessage, validationMessage, variableFaults } from './discretion.ts';
import { type Fault, faultOf, statusOf } from './errors.ts';
import { costOf, MAX_COST } from './limits.ts';

/** What happens around every request: may it, what does it cost, what is said of its errors. */
export function requestPlugin(schema: GraphQLSchema): ApolloServerPlugin<Context> {
  return {
    requestDidStart: async () => {
      const started = performance.now();
      return {
        didResolveOperation: async (asked) => admit(schema, asked),
        didEncounterErrors: async (asked) => logFaults(asked),
        willSendResponse: async (asked) => {
          finish(schema, asked);
          measure(asked, started);
        },
      };
    },
  };
}

type Resolved = GraphQLRequestContextDidResolveOperation<Context>;

function admit(schema: GraphQLSchema, asked: Resolved): void {
  const { document, operation, contextValue } = asked;
  if (!operation) return; // an operationName that names none: the execution says so
  if (operation.operation === 'subscription')
    throw badInput('query', 'a query or a mutation: subscriptions go over a WebSocket to this URL');
  authorise(schema, { caller: contextValue.caller, document, operation });
  const variables = asked.request.variables ?? {};
  if (costOf(schema, { document, operation, variables }) > MAX_COST)
    throw new GraphQLError(
      `document: expected a cost of at most ${MAX_COST}: ask for shorter pages`,
      {
        extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
      },
    );
}

/**
 * Only what nobody threw on purpose, and of that what happened and where, never with which values.
 */
function logFaults({ errors, contextValue }: GraphQLRequestContext<Context>): void {
  const { deps, requestId } = contextValue;
  for (const error of errors ?? []) {
    if (codeOf(error) !== 'INTERNAL_SERVER_ERROR') continue;
    deps.log.error({ err: error.originalError ?? error, requestId }, 'internal error');
  }
}

const codeOf = (error: GraphQLError) => error.extensions.code ?? faultOf(error).code;

/** Apollo's own codes, in the words of the contract; everything else is ours. */
export function formatError(schema: GraphQLSchema) {
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const { code, message, field } = describe(schema, { formatted, error });
    const { locations, path } = formatted;
    return {
      message,
      ...(locations && { locations }),
      ...(path && { path }),
      extensions: { code, ...(field !== undefined && { field }) },
    };
  };
}

function describe(
  schema: GraphQLSchema,
  { formatted, error }: { formatted: GraphQLFormattedError; error: unknown },
): Fault {
  const graphql = error as GraphQLError;
  switch (formatted.extensions?.code) {
    case 'GRAPHQL_PARSE_FAILED':
      return { code: 'GRAPHQL_PARSE_FAILED', message: syntaxMessage(graphql) };
    case 'GRAPHQL_VALIDATION_FAILED':
      return { code: 'GRAPHQL_VALIDATION_FAILED', message: validationMessage(schema, graphql) };
    case 'BAD_REQUEST':
      return { code: 'BAD_USER_INPUT', message: formatted.message };
    case 'OPERATION_RESOLUTION_FAILURE':
      return { code: 'BAD_USER_INPUT', message: 'operationName: expected one of the document' };
    case 'PERSISTED_QUERY_NOT_SUPPORTED':
      return { code: 'BAD_USER_INPUT', message: 'query: expected a document' };
    case 'BAD_USER_INPUT': // its details are told by `finish`, which knows the variables
      return { code: 'BAD_USER_INPUT', message: 'variables: expected values of their types' };
    default:
      return faultOf(error);
  }
}

/** The request id in every error, and the status of the first. */
function finish(
  schema: GraphQLSchema,
  asked: GraphQLRequestContextWillSendResponse<Context>,
): void {
  const { body, http } = asked.response;
  if (body.kind !== 'single' || !body.singleResult.errors) return;
  const { requestId, deps } = asked.contextValue;
  const errors = (variableErrors(schema, asked) ?? body.singleResult.errors).map((error) => ({
    ...error,
    extensions: { ...error.extensions, requestId },
  }));
  body.singleResult.errors = errors;
  http.status = statusOf(errors);
  for (const error of errors as GraphQLFormattedError[])
    apiMetrics(deps).errors.inc({ code: String(error.extensions?.code) });
}

function variableErrors(
  schema: GraphQLSchema,
  asked: GraphQLRequestContextWillSendResponse<Context>,
): GraphQLFormattedError[] | undefined {
  const bad = asked.errors?.some(
    (error) =>
      error.extensions.code === 'BAD_USER_INPUT' &&
      error.nodes?.[0]?.kind === Kind.VARIABLE_DEFINITION,
  );
  if (!bad || !asked.operation) return undefined;
  const { operation, request } = asked;
  const faults = variableFaults(schema, { operation, variables: request.variables ?? {} });
  if (faults.length === 0) return undefined;
  return faults.map(({ message, code, field }) => ({ message, extensions: { code, field } }));
}

type Labels = { type: string; fields: string[] };
const labels = new WeakMap<OperationDefinitionNode, Labels>();

/** Root fields by the names that the schema gives them; fragments at the root are looked into. */
export function labelsOf(
  operation: OperationDefinitionNode,
  rootFields: ReadonlySet<string>,
): Labels {
  const known = labels.get(operation);
  if (known) return known;
  const fields = operation.selectionSet.selections.map((selection) => {
    const name = selection.kind === Kind.FIELD ? selection.name.value : 'fragment';
    return rootFields.has(name) ? name : selection.kind === Kind.FIELD ? 'introspection' : name;
  });
  const made = { type: operation.operation, fields };
  labels.set(operation, made);
  return made;
}

function measure(asked: GraphQLRequestContextWillSendResponse<Context>, started: number): void {
  const metrics = apiMetrics(asked.contextValue.deps);
  const root = asked.operation && asked.schema.getRootType(asked.operation.operation);
  const { type, fields } =
    asked.operation && root && asked.document
      ? labelsOf(asked.operation, new Set(Object.keys(root.getFields())))
      : { type: 'invalid', fields: [] };
  for (const field of fields) metrics.operations.inc({ type, field });
  const field = fields.length > 1 ? 'several' : (fields[0] ?? 'none');
  renameSpan(`${type} ${field}`, { requestId: asked.contextValue.requestId });
  metrics.seconds.observe({ type, field }, (performance.now() - started) / 1000);
}
