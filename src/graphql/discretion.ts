/**
 * What graphql-js and Apollo say about a bad document or bad variables quotes what was sent. Here
 * each such message is made anew from the schema: the path, and what was expected there.
 */
import {
  type ASTNode,
  type ASTVisitor,
  BREAK,
  coerceInputValue,
  type DocumentNode,
  type GraphQLError,
  type GraphQLInputType,
  type GraphQLSchema,
  getNullableType,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  Kind,
  type OperationDefinitionNode,
  parse,
  TypeInfo,
  typeFromAST,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import type { Fault } from './errors.ts';

type Path = readonly (string | number)[];
type Variables = Record<string, unknown>;

const MAX_FAULTS = 10;

/** Each variable that is not of its declared type. */
export function variableFaults(
  schema: GraphQLSchema,
  { operation, variables }: { operation: OperationDefinitionNode; variables: Variables },
): Fault[] {
  const faults: Fault[] = [];
  for (const { variable, type: typeNode, defaultValue } of operation.variableDefinitions ?? []) {
    const name = variable.name.value;
    const type = typeFromAST(schema, typeNode);
    if (!isInputType(type)) continue;
    const sent = Object.hasOwn(variables, name);
    if (!sent && (defaultValue || !isNonNullType(type))) continue;
    coerceInputValue(variables[name], type, (...[path, , error]) => {
      if (faults.length < MAX_FAULTS)
        faults.push(fault(schema, { type, path: [name, ...path], error }));
    });
  }
  return faults;
}

/**
 * What was expected at a path; the messages are graphql-js's own, of which only the names are used.
 */
function fault(
  schema: GraphQLSchema,
  at: { type: GraphQLInputType; path: Path; error: GraphQLError },
): Fault {
  const missing = /^Field "(\w+)" of required type "([^"]+)" was not provided/.exec(
    at.error.message,
  );
  if (missing) return badInput([...at.path, missing[1] as string], missing[2] as string);
  const foreign = /is not defined by type "(\w+)"/.exec(at.error.message)?.[1];
  if (foreign && schema.getType(foreign)) return badInput(at.path, `only fields of ${foreign}`);
  return badInput(at.path, String(typeAt(at.type, at.path.slice(1))));
}

function badInput(path: Path, expected: string): Fault {
  const field = path.join('.');
  return {
    code: 'BAD_USER_INPUT',
    message: `${field}: expected ${expected.replace(/!$/, '')}`,
    field,
  };
}

function typeAt(type: GraphQLInputType, path: Path): GraphQLInputType {
  const [step, ...rest] = path;
  const bare = getNullableType(type);
  if (step === undefined) return type;
  if (isListType(bare)) return typeAt(bare.ofType as GraphQLInputType, rest);
  const field = isInputObjectType(bare) ? bare.getFields()[step] : undefined;
  return field ? typeAt(field.type, rest) : type;
}

const VALUES: ReadonlySet<string> = new Set([
  Kind.INT,
  Kind.FLOAT,
  Kind.STRING,
  Kind.BOOLEAN,
  Kind.NULL,
  Kind.ENUM,
  Kind.LIST,
  Kind.OBJECT,
  Kind.OBJECT_FIELD,
]);

/**
 * The message of a validation error; those about a literal value are made anew, the rest only name.
 */
export function validationMessage(schema: GraphQLSchema, error: GraphQLError): string {
  const node = error.nodes?.[0];
  if (!node?.loc || !VALUES.has(node.kind)) return error.message;
  const { path, expected } = placeOf(schema, node);
  const missing = /^Field "\w+\.(\w+)" of required type "([^"]+)"/.exec(error.message);
  if (missing) return badInput([...path, missing[1] as string], missing[2] as string).message;
  return badInput(path, expected).message;
}

/** Finds a literal again in its document, and by which arguments and fields one comes to it. */
function placeOf(schema: GraphQLSchema, target: ASTNode): { path: Path; expected: string } {
  const types = new TypeInfo(schema);
  const document = parse(target.loc?.source.body ?? '');
  let found: { path: Path; expected: string } | undefined;
  const look: ASTVisitor = {
    enter(...[node, , , keys]) {
      if (node.kind !== target.kind || node.loc?.start !== target.loc?.start) return undefined;
      found = { path: inputPath(document, keys), expected: expectedBy(types) };
      return BREAK;
    },
  };
  visit(document, visitWithTypeInfo(types, look));
  return found ?? { path: ['document'], expected: 'values of the declared types' };
}

/**
 * The names of arguments, variables and input fields, and the places in lists, on the way to a
 * node.
 */
function inputPath(document: DocumentNode, keys: readonly (string | number)[]): Path {
  const path: (string | number)[] = [];
  let node: unknown = document;
  for (const [depth, key] of keys.entries()) {
    node = (node as Record<string | number, unknown>)[key];
    if (keys[depth - 1] === 'values') path.push(key);
    const step = node as ASTNode;
    if (step.kind === Kind.ARGUMENT || step.kind === Kind.OBJECT_FIELD) path.push(step.name.value);
    if (step.kind === Kind.VARIABLE_DEFINITION) path.push(step.variable.name.value);
  }
  return path;
}

/**
 * A field that its input type does not have has no type: then only those of its parent are right.
 */
function expectedBy(types: TypeInfo): string {
  const type = types.getInputType();
  return type ? String(type) : `only fields of ${types.getParentInputType()}`;
}

// Of a syntax error only what the grammar expected, never what was found: that is the client's
// text.
const SAY_OF_SYNTAX = [
  /^Syntax Error: Expected [^,]*(?=, found)/,
  /^Syntax Error: Unexpected (?:Name|String|BlockString|Int|Float|character)\b/,
  /^Syntax Error: Unterminated string/,
  /^Syntax Error: Document contains more that \d+ tokens/,
];

export function syntaxMessage(error: GraphQLError): string {
  const said = SAY_OF_SYNTAX.map((pattern) => pattern.exec(error.message)?.[0]).find(Boolean);
  return `${said ?? 'Syntax Error'}.`;
}
