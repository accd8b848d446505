/** How much one request may ask for: it bounds the work before a resolver runs. */
import { maxAliasesRule } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthRule } from '@escape.tech/graphql-armor-max-depth';
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  GraphQLError,
  type GraphQLField,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isCompositeType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from 'graphql';
import { MAX_PAGE } from '../kernel/page.ts';
import { MAX_POOLS } from '../marketing/index.ts';

/** An import of 5,000 codes of 64 characters, each of them escaped, is 1.9 MiB. */
export const MAX_BODY_BYTES = 2 * 1024 * 1024;
/** The same import written into a document has 5,000. More could nest deeper than the stack is. */
export const MAX_TOKENS = 6_000;
/** The longest sensible way, from pools by codes and redemptions to tiers, is 9. */
export const MAX_DEPTH = 12;
/** A batch of mutations; more of them go into another request. */
export const MAX_ALIASES = 100;
/** Fields that may have to be resolved, with every list as long as it may be. */
export const MAX_COST = 50_000;

// Lists that are not paged: tiers, wallets, orders, secret keys.
const UNPAGED_SIZE = 10;
const LONG_LISTS: Record<string, number> = { 'AdvisorFacts.pools': MAX_POOLS };
/** What a field costs beside its selection: each report is a call of the language model. */
const PRICES: Record<string, number> = { 'Query.couponAdvisor': 5_000 };

/**
 * They report instead of throwing: what a validation rule throws is an internal error to Apollo.
 */
const reporting = (expected: string) => ({
  propagateOnRejection: false,
  flattenFragments: true,
  onReject: [
    (context: ValidationContext | null) =>
      context?.reportError(new GraphQLError(`document: expected ${expected}`)),
  ],
});

export const limits = [
  maxDepthRule({ n: MAX_DEPTH, ...reporting(`a depth of at most ${MAX_DEPTH}`) }),
  maxAliasesRule({ n: MAX_ALIASES, ...reporting(`at most ${MAX_ALIASES} aliases`) }),
] as ValidationRule[];

export type Asked = {
  document: DocumentNode;
  operation: OperationDefinitionNode;
  variables: Record<string, unknown>;
};

/**
 * Fields that may have to be resolved. The armour's own rule reads the sizes of pages from literals
 * only, so that a variable would make any page cost as little as one row.
 */
export function costOf(schema: GraphQLSchema, asked: Asked): number {
  const known = constant.get(asked.operation);
  if (known !== undefined) return known;
  const root = schema.getRootType(asked.operation.operation);
  if (!root) return 0;
  const walk = startWalk(schema, asked);
  const { selectionSet: selections } = asked.operation;
  const cost = costOfSelections(walk, { type: root, selections });
  if (!walk.varies) constant.set(asked.operation, cost);
  return cost;
}

// Of documents whose pages have fixed sizes: the server keeps the parsed document, and this too.
const constant = new WeakMap<OperationDefinitionNode, number>();

function startWalk(schema: GraphQLSchema, { document, variables }: Asked): Walk {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const one of document.definitions)
    if (one.kind === Kind.FRAGMENT_DEFINITION) fragments.set(one.name.value, one);
  return { schema, fragments, known: new Map(), variables, varies: false };
}

type Walk = {
  schema: GraphQLSchema;
  fragments: Map<string, FragmentDefinitionNode>;
  /** Each fragment is walked once, however often it is spread. */
  known: Map<string, number>;
  variables: Record<string, unknown>;
  /** Whether a variable says the size of a page. */
  varies: boolean;
};
type Part = { type: GraphQLCompositeType; selections: SelectionSetNode };

function costOfSelections(walk: Walk, { type, selections }: Part): number {
  let cost = 0;
  for (const selection of selections.selections) {
    if (selection.kind === Kind.FIELD) cost += costOfField(walk, { type, field: selection });
    else if (selection.kind === Kind.FRAGMENT_SPREAD)
      cost += costOfFragment(walk, selection.name.value);
    else {
      const condition = selection.typeCondition?.name.value;
      const narrowed = condition ? walk.schema.getType(condition) : type;
      if (isCompositeType(narrowed))
        cost += costOfSelections(walk, { type: narrowed, selections: selection.selectionSet });
    }
  }
  return cost;
}

function costOfFragment(walk: Walk, name: string): number {
  const fragment = walk.fragments.get(name);
  const type = fragment && walk.schema.getType(fragment.typeCondition.name.value);
  if (!isCompositeType(type) || !fragment) return 0;
  const known = walk.known.get(name);
  if (known !== undefined) return known;
  const cost = costOfSelections(walk, { type, selections: fragment.selectionSet });
  walk.known.set(name, cost);
  return cost;
}

function costOfField(
  walk: Walk,
  { type, field }: { type: GraphQLCompositeType; field: FieldNode },
) {
  const known = isObjectType(type) ? type.getFields()[field.name.value] : undefined;
  const inner = known && getNamedType(known.type);
  if (!known || !isCompositeType(inner) || !field.selectionSet) return 1; // leaves, introspection
  const below = costOfSelections(walk, { type: inner, selections: field.selectionSet });
  const name = `${type.name}.${known.name}`;
  return sizeOf(walk, { name, known, field }) * (1 + below) + (PRICES[name] ?? 0);
}

type Sized = { name: string; known: GraphQLField<unknown, unknown>; field: FieldNode };

/** How many rows a field may hold: of a page, what is asked for as `first`. */
function sizeOf(walk: Walk, { name, known, field }: Sized): number {
  const first = known.args.find((arg) => arg.name === 'first');
  if (!first) return isListOf(known) && !isPage(known) ? (LONG_LISTS[name] ?? UNPAGED_SIZE) : 1;
  const said = field.arguments?.find((arg) => arg.name.value === 'first')?.value;
  if (said?.kind === Kind.VARIABLE) walk.varies = true;
  const value =
    said?.kind === Kind.VARIABLE
      ? walk.variables[said.name.value]
      : said?.kind === Kind.INT
        ? Number(said.value)
        : first.defaultValue;
  // Left out or of a wrong type: as long as a page may be. A number out of range is refused later.
  return typeof value === 'number' ? Math.min(Math.max(value, 1), MAX_PAGE) : MAX_PAGE;
}

const isListOf = (known: GraphQLField<unknown, unknown>): boolean =>
  isListType(getNullableType(known.type));

/** The rows of a page were counted where its `first` stands. */
const isPage = (known: GraphQLField<unknown, unknown>): boolean => known.name === 'nodes';
