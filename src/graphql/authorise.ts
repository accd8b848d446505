/** Holds every request to the rules of access.ts: the document as a whole, and each resolver. */
import {
  type DocumentNode,
  defaultFieldResolver,
  type FragmentDefinitionNode,
  type GraphQLSchema,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { Mistake } from '../kernel/errors.ts';
import type { Caller } from '../programs/index.ts';
import { access, type Rule } from './access.ts';
import type { Context } from './context.ts';

const rules: Record<string, Record<string, Rule>> = access;

/** What a caller lacks for a field; undefined: nothing. */
function lacking(caller: Caller, rule: Rule): string | undefined {
  if (caller.kind === 'root') return rule.root ? undefined : "the program's secret key";
  if (caller.kind === 'member') return rule.member ? undefined : 'a secret key, not a member token';
  if (rule.key === false) return 'the root key';
  const { scopes } = rule;
  if (scopes.length === 0 || scopes.some((scope) => caller.scopes.has(scope))) return undefined;
  return scopes.length === 1 ? `the scope ${scopes[0]}` : `one of the scopes ${scopes.join(', ')}`;
}

function assertMay(caller: Caller, asked: { coordinate: string; rule: Rule }): void {
  const missing = lacking(caller, asked.rule);
  if (missing) throw new Mistake('FORBIDDEN', `${asked.coordinate}: needs ${missing}`);
}

/** Puts the rule before every resolver. Throws when a field has no rule, or a rule no field. */
export function guard(schema: GraphQLSchema): void {
  const unused = new Set(
    Object.entries(rules).flatMap(([type, fields]) =>
      Object.keys(fields).map((f) => `${type}.${f}`),
    ),
  );
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      const coordinate = `${type.name}.${field.name}`;
      const rule = rules[type.name]?.[field.name];
      if (!rule) throw new Error(`${coordinate} has no rule in access.ts`);
      unused.delete(coordinate);
      const resolve = field.resolve ?? defaultFieldResolver;
      field.resolve = (...call) => {
        const { caller }: Context = call[2];
        assertMay(caller, { coordinate, rule });
        return resolve(...call);
      };
    }
  }
  if (unused.size > 0)
    throw new Error(`rules for no field in access.ts: ${[...unused].join(', ')}`);
}

type Needed = { coordinate: string; rule: Rule }[];
const needed = new WeakMap<OperationDefinitionNode, Needed>();

/**
 * Refuses a document as a whole, before any of it is executed: a mutation must not take effect only
 * for its answer to be withheld. FORBIDDEN names what is missing.
 */
export function authorise(
  schema: GraphQLSchema,
  asked: { caller: Caller; document: DocumentNode; operation: OperationDefinitionNode },
): void {
  const { operation, document, caller } = asked;
  let fields = needed.get(operation);
  if (!fields) {
    fields = fieldsOf(schema, { operation, document });
    needed.set(operation, fields);
  }
  for (const field of fields) assertMay(caller, field);
}

function fieldsOf(
  schema: GraphQLSchema,
  { operation, document }: { operation: OperationDefinitionNode; document: DocumentNode },
): Needed {
  const found = new Map<string, Rule>();
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const one of document.definitions)
    if (one.kind === Kind.FRAGMENT_DEFINITION) fragments.set(one.name.value, one);
  const types = new TypeInfo(schema);
  const look = (root: OperationDefinitionNode | FragmentDefinitionNode) =>
    visit(
      root,
      visitWithTypeInfo(types, {
        Field(node) {
          const type = types.getParentType()?.name ?? '';
          const rule = rules[type]?.[node.name.value];
          if (rule) found.set(`${type}.${node.name.value}`, rule);
        },
        FragmentSpread(node) {
          const fragment = fragments.get(node.name.value);
          fragments.delete(node.name.value);
          if (fragment) spread.push(fragment);
        },
      }),
    );
  const spread: FragmentDefinitionNode[] = [];
  look(operation);
  for (const fragment of spread) look(fragment);
  return [...found].map(([coordinate, rule]) => ({ coordinate, rule }));
}
