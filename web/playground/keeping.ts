/**
 * What the browser keeps of a visit: how the page looks, nothing else. Tabs, variables and
 * GraphiQL's history (which holds headers, whatever it is told about them) belong to one database,
 * and the next page from this address may be of another one, with another key: the server's word
 * comes first.
 */
const KEPT = new Set(
  ['theme', 'visiblePlugin', 'docExplorerFlex', 'editorFlex'].map((name) => `graphiql:${name}`),
);

/** Undefined where the browser is told to keep nothing: even to name it throws there. */
function shelf(name: string): Storage | undefined {
  try {
    return KEPT.has(name) ? localStorage : undefined;
  } catch {
    return undefined;
  }
}

export const keeping = {
  length: 0,
  getItem: (name: string) => shelf(name)?.getItem(name) ?? null,
  setItem: (name: string, value: string) => shelf(name)?.setItem(name, value),
  removeItem: (name: string) => shelf(name)?.removeItem(name),
  clear: () => {
    for (const name of KEPT) shelf(name)?.removeItem(name);
  },
};
