/** Work on a long list, a page at a time, of which no item holds up or fails another. */

// A lock for each item of a page: far below what a transaction may hold.
export const PAGE = 400;

export type Pages<Item> = {
  /** The items behind `after`, in a fixed order; none: the end. */
  list(after: string | undefined): Promise<Item[]>;
  /** All of them or none. Answers for how many something changed. */
  work(items: Item[]): Promise<number>;
  /** An item that fails by itself. */
  failed(item: Item, error: unknown): Promise<void>;
};

/** A page that fails is repeated in halves, until the items are found that it fails for. */
export async function inPages<Item extends { cursor: string }>(
  pages: Pages<Item>,
): Promise<{ scanned: number; changed: number }> {
  let scanned = 0;
  let changed = 0;
  for (let page = await pages.list(undefined); page.length > 0; ) {
    scanned += page.length;
    changed += await attempt(pages, page);
    page = await pages.list(page.at(-1)?.cursor);
  }
  return { scanned, changed };
}

async function attempt<Item>(pages: Pages<Item>, items: Item[]): Promise<number> {
  try {
    return items.length === 0 ? 0 : await pages.work(items);
  } catch (error) {
    const [first] = items;
    if (items.length === 1 && first) {
      await pages.failed(first, error);
      return 0;
    }
    const half = Math.ceil(items.length / 2);
    const changed = await attempt(pages, items.slice(0, half));
    return changed + (await attempt(pages, items.slice(half)));
  }
}
