import type { Db } from './db.ts';
import { badInput } from './errors.ts';
import { EVENT_TYPES, type EventType } from './outbox.ts';
import { type Connection, MAX_PAGE, type PageArgs } from './page.ts';

/** A place in the order of a program's events: behind that event, or where it would stand. */
export type Cursor = { xid: bigint; id: bigint };

export type StoredEvent = Cursor & {
  programId: string;
  type: string;
  memberId: string | null;
  data: unknown;
  /** The program's clock. */
  at: Date;
};

type Reader = { db: Pick<Db, '$queryRaw'> };
type Feed = { programId: string; after: Cursor; limit: number; memberId?: string | undefined };

const CURSOR = /^([0-9a-z]{1,13})-([0-9a-z]{1,13})$/;
const MAX_NUMBER = 2n ** 63n - 1n;
const SCANNED_AT_ONCE = 1_000;

export const START: Cursor = { xid: 0n, id: 0n };

/** What clients know an event by, and hand back as `after`: the id of the event. */
export const cursorText = ({ xid, id }: Cursor): string => `${xid.toString(36)}-${id.toString(36)}`;

/** Undefined for a text that is no cursor. */
export function readCursor(text: string): Cursor | undefined {
  const [, xid = '', id = ''] = CURSOR.exec(text) ?? [];
  if (!xid) return undefined;
  const cursor = { xid: number36(xid), id: number36(id) };
  return cursor.xid <= MAX_NUMBER && cursor.id <= MAX_NUMBER ? cursor : undefined;
}

/** Where a page begins: at the beginning where nothing was named, as in every list. */
export const readAfter = (after: string | null | undefined): Cursor | undefined =>
  after ? readCursor(after) : START;

const number36 = (text: string): bigint =>
  [...text].reduce((sum, digit) => sum * 36n + BigInt(Number.parseInt(digit, 36)), 0n);

export const isAfter = (one: Cursor, other: Cursor): boolean =>
  one.xid > other.xid || (one.xid === other.xid && one.id > other.id);

/**
 * The events after a cursor, in their order, and no further than where an event may still come in:
 * a reader that goes on from the last one it was given never passes one over.
 */
export function readFeed({ db }: Reader, feed: Feed): Promise<StoredEvent[]> {
  const { programId, after, limit, memberId = null } = feed;
  return db.$queryRaw<StoredEvent[]>`
    SELECT program_id::text AS "programId", xid, id, type, member_id::text AS "memberId", data, at
    FROM read_events(${programId}::uuid, ${after.xid}::bigint, ${after.id}::bigint,
      ${limit}::int, ${memberId}::uuid)`;
}

type Place = { programId: string; after: Cursor };

/** Those of several feeds in which there is something after the place. */
export async function withNews<P extends Place>({ db }: Reader, places: P[]): Promise<P[]> {
  if (places.length === 0) return [];
  const list = places.map(({ programId, after }) => ({
    program: programId,
    xid: `${after.xid}`,
    id: `${after.id}`,
  }));
  const rows = await db.$queryRaw<{ program: string }[]>`
    SELECT p.program::text FROM jsonb_to_recordset(${JSON.stringify(list)}::jsonb)
      AS p(program uuid, xid bigint, id bigint)
    WHERE EXISTS (SELECT FROM read_events(p.program, p.xid, p.id, 1))`;
  const found = new Set(rows.map(({ program }) => program));
  return places.filter(({ programId }) => found.has(programId));
}

/** Where the feed ends now: whatever is committed from here on comes after it. */
export async function feedEnd({ db }: Reader): Promise<Cursor> {
  const [row] = await db.$queryRaw<{ xid: bigint }[]>`SELECT events_horizon() AS xid`;
  return { xid: (row as { xid: bigint }).xid, id: 0n };
}

/**
 * Undefined: all of them. BAD_USER_INPUT for none at all, for which a client would wait in vain,
 * and naming the place of one that does not exist.
 */
export function readTypes(
  types: readonly string[] | null | undefined,
  field = 'types',
): Set<string> | undefined {
  if (!types) return undefined;
  if (types.length === 0) throw badInput(field, 'null for all types, or at least one');
  for (const [place, type] of types.entries())
    if (!EVENT_TYPES.includes(type as EventType))
      throw badInput(`${field}.${place}`, 'a type of event such as code.claimed');
  return new Set(types);
}

type EventsOf = PageArgs & {
  programId: string;
  memberId?: string | undefined;
  types?: readonly string[] | null;
};

/**
 * A page of the feed. Where types are asked for, so many events are looked through at most; the
 * page may then end, and be gone on from, behind an event of another type.
 */
export async function listEvents(deps: Reader, args: EventsOf): Promise<Connection<StoredEvent>> {
  const { programId, memberId, first } = args;
  if (!Number.isInteger(first) || first < 1 || first > MAX_PAGE)
    throw badInput('first', `a number from 1 to ${MAX_PAGE}`);
  const types = readTypes(args.types);
  const after = readAfter(args.after);
  if (!after) throw badInput('after', 'the id of an event, or an endCursor of an earlier page');
  const limit = types ? SCANNED_AT_ONCE : first + 1;
  const rows = await readFeed(deps, { programId, memberId, after, limit });
  const wanted = types ? rows.filter(({ type }) => types.has(type)) : rows;
  const nodes = wanted.slice(0, first);
  const isMore = wanted.length > first;
  const last = isMore ? nodes.at(-1) : rows.at(-1);
  const endCursor = last ? cursorText(last) : null;
  return { nodes, pageInfo: { hasNextPage: isMore || rows.length === limit, endCursor } };
}
