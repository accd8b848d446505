import type { Resolvers } from '../../generated/graphql.ts';
import type { Member as MemberRow } from '../../generated/prisma/client.ts';
import type { MemberId } from '../../kernel/ids.ts';
import { parse, text } from '../../kernel/input.ts';
import { readNumberedPage } from '../../kernel/page.ts';
import { listEntries, listLots } from '../../loyalty/index.ts';
import { findMember, listMembers, upsertMember } from '../../members/index.ts';
import type { Context } from '../context.ts';
import { ownProgram } from '../loaders.ts';
import { noteMember } from './input.ts';

const anyText = text(254).nullish();

export const memberResolvers = {
  Query: {
    member: async (_, args, context) => {
      const externalId = parse(anyText, args.externalId, 'externalId');
      const of = { ...args, externalId, programId: ownProgram(context.caller) };
      const member = await findMember(context.deps, of);
      noteMember(context, member?.id);
      return member;
    },
    members: (_, { search, first, after }, { deps, caller }) =>
      listMembers(deps, {
        programId: ownProgram(caller),
        search: parse(anyText, search?.trim() || null, 'search'),
        first: first as number,
        after: after ?? null,
      }),
    me: (_, __, { caller, loaders }) =>
      caller.kind === 'member' ? loaders.member().load(caller.memberId) : null,
  },
  Mutation: {
    upsertMember: async (_, { input }, context) => {
      const programId = ownProgram(context.caller);
      const member = await upsertMember(context.deps, { programId, input });
      noteMember(context, member.id);
      return member;
    },
  },
  Member: {
    birthday: (member) => member.birthday?.toISOString().slice(0, 10) ?? null,
    tier: (member, _, context) => tierOf(context, member),
    balance: async (member, _, { loaders }) =>
      Number((await loaders.points().load(member.id)).balance),
    pendingPoints: async (member, _, { loaders }) =>
      Number((await loaders.points().load(member.id)).pending),
    debtPoints: (member) => Number(member.debt),
    batches: (member, { first, after }, context) =>
      listLots(context.deps, pageOf(context, { member, first, after })),
    entries: (member, { first, after }, context) =>
      listEntries(context.deps, pageOf(context, { member, first, after })),
    earned12Months: async (member, _, { loaders }) =>
      Number(await loaders.earned().load(member.id)),
    tierHistory: (member, args, { loaders }) => {
      const page = { first: args.first as number, after: args.after ?? null };
      const asked = { ...page, ...readNumberedPage(page), memberId: member.id };
      return loaders.tierHistory().load(asked);
    },
    wallet: (member, _, { loaders }) => loaders.wallet().load(member.id),
  },
  TierChange: { id: (change) => change.id.toString() },
} satisfies Resolvers;

type PageOfMember = { member: MemberRow; first?: number | null; after?: string | null };

const pageOf = ({ caller }: Context, { member, first, after }: PageOfMember) => ({
  programId: ownProgram(caller),
  memberId: member.id as MemberId,
  first: first as number,
  after: after ?? null,
});

async function tierOf({ loaders }: Context, member: MemberRow) {
  const tier = await loaders.tier().load(member.tierId);
  if (!tier) throw new Error('a member without a tier');
  return tier;
}

/** Of a row that a foreign key binds to its member. */
export async function holder({ loaders }: Context, memberId: string): Promise<MemberRow> {
  const member = await loaders.member().load(memberId);
  if (!member) throw new Error('a row without its member');
  return member;
}
