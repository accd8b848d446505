import type { Resolvers } from '../../generated/graphql.ts';
import { cursorText, listEvents, readTypes, type StoredEvent } from '../../kernel/feed.ts';
import { requireMember } from '../../members/index.ts';
import { ownProgram } from '../loaders.ts';
import { memberNamed } from './input.ts';

export const eventResolvers = {
  Query: {
    events: async (_, { after, first, types, ...of }, context) => {
      const { deps } = context;
      const programId = ownProgram(context.caller);
      const field = 'memberId';
      const memberId = memberNamed(context, { id: of.memberId, field });
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
