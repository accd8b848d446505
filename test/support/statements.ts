/** How many statements reach the database: a list must not ask once for each of its rows. */
import pg from 'pg';
import { vi } from 'vitest';

/** Of everything in this process, so nothing else may run beside `work`. */
export async function countStatements(work: () => Promise<unknown>): Promise<number> {
  const query = vi.spyOn(pg.Client.prototype, 'query');
  try {
    await work();
    return query.mock.calls.length;
  } finally {
    query.mockRestore();
  }
}
