/** How a guard is described, and how it is taken out. */

/** A replacement in a file of prisma/functions, wherever it is found (at least once). */
export type Edit = { file: string; replace: RegExp; by: string };
export type TestOf = { file: string; title: string };

export type Guard = {
  name: string;
  protects: string;
  edits: readonly Edit[];
  sql?: readonly string[];
  /** These must fail without the guard. */
  needs: readonly TestOf[];
  /** These pass all the same: another guard stands behind this one. */
  spares?: readonly TestOf[];
};

/** Every taker of these classes is given a key that nobody else has. */
export const withoutLock = (...classes: number[]): Edit[] => [
  { file: 'locks', replace: /IMMUTABLE PARALLEL SAFE/g, by: 'VOLATILE' },
  {
    file: 'locks',
    replace: /hashtextextended\(p_program::text \|\| p_name, 0\)/g,
    by: `CASE WHEN p_class IN (${classes.join(', ')}) THEN (random() * 9e15)::bigint
      ELSE hashtextextended(p_program::text || p_name, 0) END`,
  },
];
