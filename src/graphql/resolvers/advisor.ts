import type { Resolvers } from '../../generated/graphql.ts';
import { adoptSuggestion, couponAdvisor } from '../../marketing/index.ts';
import { ownProgram } from '../loaders.ts';
import { poolOf } from './pool.ts';

export const advisorResolvers = {
  Query: {
    couponAdvisor: (_, __, { deps, caller }) =>
      couponAdvisor(deps, { programId: ownProgram(caller) }),
  },
  Mutation: {
    adoptSuggestion: (_, { id }, { deps, caller }) =>
      adoptSuggestion(deps, { programId: ownProgram(caller), id }),
  },
  PoolFacts: { pool: ({ poolId }, _, context) => poolOf(context, poolId) },
  SegmentFacts: {
    tier: ({ tierId }, _, { loaders }) => (tierId === null ? null : loaders.tier().load(tierId)),
  },
} satisfies Resolvers;
