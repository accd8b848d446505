import type { Resolvers } from '../../generated/graphql.ts';
import type { Member as MemberRow } from '../../generated/prisma/client.ts';
import { parse, text } from '../../kernel/input.ts';
import { findMember, listMembers, upsertMember } from '../../members/index.ts';
import type { Context } from '../context.ts';
import { ownProgram } from '../loaders.ts';

const anyText = text(254).nullish();

export const memberResolvers = {
  Query: {
    member: (_, args, { deps, caller }) => {
      const externalId = parse(anyText, args.externalId, 'externalId');
      return findMember(deps, { ...args, externalId, programId: ownProgram(caller) });
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
    upsertMember: (_, { input }, { deps, caller }) =>
      upsertMember(deps, { programId: ownProgram(caller), input }),
  },
  Member: {
    birthday: (member) => member.birthday?.toISOString().slice(0, 10) ?? null,
    tier: (member, _, context) => tierOf(context, member),
    wallet: (member, _, { loaders }) => loaders.wallet().load(member.id),
  },
} satisfies Resolvers;

async function tierOf({ loaders }: Context, member: MemberRow) {
  const tier = await loaders.tier().load(member.tierId);
  if (!tier) throw new Error('a member without a tier');
  return tier;
}
