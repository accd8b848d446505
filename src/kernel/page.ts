import { badInput } from './errors.ts';
import { parseId } from './ids.ts';

export const MAX_PAGE = 200;

export type PageArgs = { first: number; after?: string | null };
export type Connection<Row> = {
  nodes: Row[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
};

/** What a keyset query needs: one row more than is shown tells whether there is a next page. */
export function readPage(args: PageArgs): { take: number; afterId: string | undefined } {
  if (!Number.isInteger(args.first) || args.first < 1 || args.first > MAX_PAGE)
    throw badInput('first', `a number from 1 to ${MAX_PAGE}`);
  return { take: args.first + 1, afterId: args.after ? readCursor(args.after) : undefined };
}

export type NumberedPage = { take: number; afterNumber: bigint | undefined };

/** The same where rows are numbered, as those of the journal are. */
export function readNumberedPage(args: PageArgs): NumberedPage {
  const { take } = readPage({ first: args.first });
  return { take, afterNumber: args.after ? readNumber(args.after) : undefined };
}

function readNumber(cursor: string): bigint {
  const number = Buffer.from(cursor, 'base64url').toString('latin1');
  if (!/^\d{1,18}$/.test(number)) throw badInput('after', 'an endCursor of an earlier page');
  return BigInt(number);
}

/** A cursor is opaque to clients; it holds the id of the last row that was shown. */
function readCursor(cursor: string): string {
  const id = parseId(Buffer.from(cursor, 'base64url').toString('latin1'));
  if (!id) throw badInput('after', 'an endCursor of an earlier page');
  return id;
}

export function toConnection<Row extends { id: string | bigint }>(
  rows: Row[],
  args: PageArgs,
): Connection<Row> {
  const nodes = rows.slice(0, args.first);
  const last = nodes.at(-1);
  return {
    nodes,
    pageInfo: {
      hasNextPage: rows.length > args.first,
      endCursor: last ? Buffer.from(String(last.id), 'latin1').toString('base64url') : null,
    },
  };
}
