/** The tabs: one file each in examples/playground, its variables beside it. */

export type Example = { name: string; query: string; variables: string };

const operations = import.meta.glob<string>('../../examples/playground/*.graphql', {
  query: '?raw',
  import: 'default',
  eager: true,
});
const variables = import.meta.glob<string>('../../examples/playground/*.json', {
  query: '?raw',
  import: 'default',
  eager: true,
});

/** In the order of their file names, which is the order to read them in. */
export const examples: readonly Example[] = Object.entries(operations)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([file, query]) => ({
    name: /^(?:query|mutation) (\w+)/m.exec(query)?.[1] ?? '',
    query: query.trimEnd(),
    variables: (variables[file.replace(/graphql$/, 'json')] ?? '').trimEnd(),
  }));
