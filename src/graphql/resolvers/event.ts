import type { Resolvers } from '../../generated/graphql.ts';
import { cursorText, listEvents } from '../../kernel/feed.ts';
import type { MemberId } from '../../kernel/ids.ts';
import { requireMember } from '../../members/index.ts';
import { ownProgram } from '../loaders.ts';
import { idOf } from './input.ts';

export const eventResolvers = {
  Query: {
    events: async (_, { after, first, types, ...of }, { deps, caller }) => {
      const programId = ownProgram(caller);
      const field = 'memberId';
      const memberId =
        of.memberId == null ? undefined : idOf<MemberId>(of.memberId, { field, what: 'member' });
      if (memberId) await requireMember(deps, { programId, memberId, field });
      const page = { first: first as number, after: after ?? null, types: types ?? null };
      return listEvents(deps, { programId, memberId, ...page });
    },
  },
  Mutation: {},
  Event: { id: (event) => cursorText(event) },
} satisfies Resolvers;
