/** Documents made from the schema, so that a field that is added is tested from the first day. */
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  getNamedType,
  getNullableType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isRequiredArgument,
  isRequiredInputField,
} from 'graphql';
import type { Variables } from './api.ts';

export type RootField = { type: 'query' | 'mutation'; field: GraphQLField<unknown, unknown> };

/** One operation with one root field, each argument of it a variable. */
export function documentOf({ type, field }: RootField, selection = '{ __typename }'): string {
  const declared = field.args.map((arg) => `$${arg.name}: ${arg.type}`).join(', ');
  const passed = field.args.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
  const inner = isCompositeType(getNamedType(field.type)) ? selection : '';
  const [variables, args] = declared ? [`(${declared})`, `(${passed})`] : ['', ''];
  return `${type} ${variables} { ${field.name}${args} ${inner} }`;
}

/** The least that the schema asks for; `known` gives what is better than a dummy, by its name. */
export function variablesOf(field: GraphQLField<unknown, unknown>, known: Variables): Variables {
  const needed = field.args.filter((arg) => isRequiredArgument(arg) || arg.name in known);
  const nullable = (arg: GraphQLArgument) => arg.defaultValue !== undefined;
  const defaults = field.args.filter((arg) => nullable(arg) && !(arg.name in known));
  return Object.fromEntries([
    ...defaults.map((arg) => [arg.name, arg.defaultValue]),
    ...needed.map((arg) => [arg.name, dummyOf(arg.type, { name: arg.name, known })]),
  ]);
}

function dummyOf(type: GraphQLInputType, of: { name: string; known: Variables }): unknown {
  if (of.name in of.known) return of.known[of.name];
  const bare = getNullableType(type);
  if (isListType(bare)) return [dummyOf(bare.ofType as GraphQLInputType, of)];
  if (isInputObjectType(bare))
    return Object.fromEntries(
      Object.values(bare.getFields())
        .filter((field) => isRequiredInputField(field) || field.name in of.known)
        .map((field) => [field.name, dummyOf(field.type, { ...of, name: field.name })]),
    );
  if (isEnumType(bare)) return bare.getValues()[0]?.name;
  const dummies: Record<string, unknown> = {
    ID: '00000000-0000-7000-8000-000000000000',
    String: 'dummy',
    Int: 1,
    SafeInt: 1,
    Boolean: false,
    DateTime: '2031-01-01T00:00:00Z',
    EmailAddress: 'dummy@example.com',
    LocalDate: '1990-01-01',
  };
  return dummies[String(bare)];
}
