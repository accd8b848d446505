import type { Asker } from '../../coupons/index.ts';
import { badInput, Mistake, notFound } from '../../kernel/errors.ts';
import { type MemberId, parseId, type RecipientId } from '../../kernel/ids.ts';
import type { Context } from '../context.ts';

/** What cannot be an id is the id of nothing. */
export function idOf<T extends string>(text: string, of: { field: string; what: string }): T {
  const id = parseId<T>(text);
  if (!id) throw notFound(of.field, of.what);
  return id;
}

/** Notes whom a request turns out to be about, where its answer tells: for the log. */
export function noteMember({ members }: Context, memberId: string | null | undefined): void {
  if (memberId != null) members.add(memberId);
}

type Named = { id: string | null | undefined; field: string };

/**
 * The member that an input names. A member token acts for its own member alone: left out it is that
 * one, and every other id is FORBIDDEN, whether there is such a member or not.
 */
export function memberNamed(context: Context, { id, field }: Named): MemberId | undefined {
  const { caller } = context;
  if (caller.kind === 'member') {
    if (id != null && parseId(id) !== caller.memberId)
      throw new Mistake('FORBIDDEN', `${field}: a member token acts for its own member`, field);
    return caller.memberId;
  }
  if (id == null) return undefined;
  const memberId = idOf<MemberId>(id, { field, what: 'member' });
  noteMember(context, memberId);
  return memberId;
}

/** Who asks about a code, and for whom: see what `coupons` answers to each. */
export function askerOf(context: Context, named: Named): Asker {
  const memberId = memberNamed(context, named);
  if (context.caller.kind !== 'member') return { kind: 'merchant', owner: memberId };
  return { kind: 'member', memberId: context.caller.memberId, address: context.address };
}

/**
 * A guest's address, or a campaign's recipient, is for the merchant's server to say: a browser
 * might type anybody's.
 */
export function guestNamed({ caller }: Context, { id, field }: Named): string | undefined {
  if (caller.kind === 'member' && id != null)
    throw badInput(field, 'nothing: with a member token the claimant is that member');
  return id ?? undefined;
}

export function recipientNamed(context: Context, id: string | null | undefined) {
  const field = 'input.recipientId';
  const named = guestNamed(context, { id, field });
  return named === undefined ? undefined : idOf<RecipientId>(named, { field, what: 'recipient' });
}
