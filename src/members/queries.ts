import type { Deps } from '../deps.ts';
import { badInput, notFound } from '../kernel/errors.ts';
import { type MemberId, type ProgramId, parseId } from '../kernel/ids.ts';
import { inOrder } from '../kernel/in-order.ts';
import { type Connection, type PageArgs, readPage, toConnection } from '../kernel/page.ts';
import { normaliseEmail } from './email.ts';
import type { Member } from './types.ts';

export type MemberKey = {
  id?: string | null | undefined;
  externalId?: string | null | undefined;
  email?: string | null | undefined;
};

/** By exactly one of its keys. Of several with one address, a verified one, then the oldest. */
export async function findMember(
  deps: Deps,
  { programId, ...key }: MemberKey & { programId: ProgramId },
): Promise<Member | null> {
  const given = [key.id, key.externalId, key.email].filter((value) => value != null);
  if (given.length !== 1) throw badInput('member', 'exactly one of id, externalId and email');
  if (key.id != null) {
    const id = parseId(key.id);
    return id ? deps.db.member.findUnique({ where: { programId_id: { programId, id } } }) : null;
  }
  return deps.db.member.findFirst({
    where: {
      programId,
      ...(key.externalId == null
        ? { email: normaliseEmail(key.email as string) }
        : { externalId: key.externalId.trim() }),
    },
    orderBy: [{ emailVerified: 'desc' }, { createdAt: 'asc' }, { id: 'asc' }],
  });
}

/** Prisma hands these on to LIKE, where `_` in a name would stand for any character. */
const literal = (text: string): string => text.replace(/[\\%_]/g, '\\$&');

/** `search`: the beginning of an external id, or of an address in any case. */
export async function listMembers(
  deps: Deps,
  args: PageArgs & { programId: ProgramId; search?: string | null | undefined },
): Promise<Connection<Member>> {
  const { take, afterId } = readPage(args);
  const search = args.search?.trim();
  const matches = search
    ? {
        OR: [
          { externalId: { startsWith: literal(search) } },
          { email: { startsWith: literal(normaliseEmail(search)) } },
        ],
      }
    : {};
  const rows = await deps.db.member.findMany({
    where: { programId: args.programId, ...(afterId ? { id: { gt: afterId } } : {}), ...matches },
    orderBy: { id: 'asc' },
    take,
  });
  return toConnection(rows, args);
}

/** Throws NOT_FOUND for what is no member of this program; `field` is where the id was given. */
export async function requireMember(
  deps: Deps,
  of: { programId: ProgramId; memberId: MemberId; field: string },
): Promise<void> {
  const { programId, memberId: id } = of;
  const where = { programId_id: { programId, id } };
  if (!(await deps.db.member.findUnique({ where, select: { id: true } })))
    throw notFound(of.field, 'member');
}

/** For loaders: in the order of the ids, null for one that is not of this program. */
export async function membersByIds(
  deps: Deps,
  of: { programId: ProgramId; ids: readonly string[] },
): Promise<(Member | null)[]> {
  const rows = await deps.db.member.findMany({
    where: { programId: of.programId, id: { in: [...of.ids] } },
  });
  return inOrder(of.ids, rows, (row) => row.id);
}
