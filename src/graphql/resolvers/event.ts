import type { Resolvers } from '../../generated/graphql.ts';
import { cursorText, listEvents, readTypes, type StoredEvent } from '../../kernel/feed.ts';
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
  Subscription: {
    events: {
      subscribe: (_, { types }, { live, caller }) =>
        live.listen({ programId: ownProgram(caller), types: readTypes(types) }),
      resolve: (event: StoredEvent) => event,
    },
  },
  Event: { id: (event) => cursorText(event) },
} satisfies Resolvers;
