/** Sentences about what is not as it must be. */
const SHOWN = 10;

type Numbers = Record<string, number>;
type Sides = { expected: Numbers; found: Record<string, unknown> };

/** One for each number that is another one by `by`. */
export const differences = (by: string, { expected, found }: Sides): string[] =>
  Object.entries(expected)
    .filter(([name, number]) => found[name] !== number)
    .map(([name, number]) => `${name} by ${by}: ${found[name]}, by the file ${number}`);

/** How many there are, and the names of the first of them; nothing when there are none. */
export function firstOf(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  return [`${what}: ${names.length}, the first of them ${names.slice(0, SHOWN).join(', ')}`];
}
