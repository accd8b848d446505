import { GraphQLScalarType } from 'graphql';
import {
  DateTimeResolver,
  EmailAddressResolver,
  JSONResolver,
  LocalDateResolver,
  SafeIntResolver,
} from 'graphql-scalars';

// RFC 5321, section 4.5.3.1.3. Also keeps long texts away from the library's regular expression.
const MAX_EMAIL = 254;
const FIRST_YEAR = 1900;
const LAST_YEAR = 9999;

const inRange = (year: number) => year >= FIRST_YEAR && year <= LAST_YEAR;

/** The library's own messages quote the value, and an e-mail address does not belong into a log. */
function discreet(scalar: GraphQLScalarType, options: Partial<Options> = {}): GraphQLScalarType {
  const { prepare = (value) => value, accepts = () => true } = options;
  const guarded = <T>(parse: () => T): T => {
    try {
      const parsed = parse();
      if (accepts(parsed)) return parsed;
    } catch {
      // Said below, in words of our own.
    }
    throw new TypeError(`expected ${scalar.name}`);
  };
  return new GraphQLScalarType({
    ...scalar.toConfig(),
    serialize: (value) => scalar.serialize(value),
    parseValue: (value) => guarded(() => scalar.parseValue(prepare(value))),
    parseLiteral: (node, variables) =>
      guarded(() =>
        scalar.parseLiteral(
          'value' in node ? ({ ...node, value: prepare(node.value) } as typeof node) : node,
          variables,
        ),
      ),
  });
}

type Options = { prepare(value: unknown): unknown; accepts(parsed: unknown): boolean };

export const scalars = {
  /** Years of four digits that PostgreSQL and JavaScript write alike. */
  DateTime: discreet(DateTimeResolver, {
    accepts: (parsed) => inRange((parsed as Date).getUTCFullYear()),
  }),
  EmailAddress: discreet(EmailAddressResolver, {
    prepare: (value) => (typeof value === 'string' ? shortened(value.trim()) : value),
  }),
  /** Only answered, never asked for. */
  JSON: discreet(JSONResolver),
  LocalDate: discreet(LocalDateResolver, {
    accepts: (parsed) => inRange(Number((parsed as string).slice(0, 4))),
  }),
  SafeInt: discreet(SafeIntResolver),
};

/** What is too long becomes what is no address at all. */
const shortened = (address: string): string => (address.length > MAX_EMAIL ? '' : address);
