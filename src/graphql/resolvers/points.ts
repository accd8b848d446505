import type { Resolvers } from '../../generated/graphql.ts';
import { notFound } from '../../kernel/errors.ts';
import type { MemberId, SpendId } from '../../kernel/ids.ts';
import {
  awardPoints,
  grantPoints,
  pointsLiability,
  quotePoints,
  refundSpend,
  reverseAward,
  spendPoints,
} from '../../loyalty/index.ts';
import { reconcile } from '../../workers/index.ts';
import type { Context } from '../context.ts';
import { ownProgram } from '../loaders.ts';
import { idOf, memberNamed, noteMember } from './input.ts';
import { holder } from './member.ts';
import { refusal } from './refusal.ts';

const memberOf = (context: Context, id: string, field: string): MemberId =>
  memberNamed(context, { id, field }) as MemberId;

export const pointsResolvers = {
  Query: {
    quotePoints: async (_, { memberId, source, amount }, context) => {
      const programId = ownProgram(context.caller);
      const member = memberOf(context, memberId, 'memberId');
      const quote = await quotePoints(context.deps, {
        programId,
        memberId: member,
        source,
        amount,
      });
      if (!quote) throw notFound('memberId', 'member');
      return {
        base: Number(quote.base),
        multiplier: quote.multiplier,
        points: Number(quote.points),
        capRemaining: quote.capRemaining === null ? null : Number(quote.capRemaining),
        awarded: Number(quote.awarded),
      };
    },
    pointsLiability: async (_, { from, asOf }, { deps, caller }) => {
      const liability = await pointsLiability(deps, {
        programId: ownProgram(caller),
        from: from ?? null,
        asOf: asOf ?? null,
      });
      return {
        asOf: liability.asOf,
        opening: Number(liability.opening),
        awarded: Number(liability.awarded),
        spent: Number(liability.spent),
        expired: Number(liability.expired),
        reversed: Number(liability.reversed),
        refunded: Number(liability.refunded),
        closing: Number(liability.closing),
        value: Number(liability.value),
        byExpiryMonth: liability.byExpiryMonth.map(({ month, points }) => ({
          month,
          points: Number(points),
        })),
      };
    },
    reconcile: (_, __, { deps, caller }) => reconcile(deps, { programId: ownProgram(caller) }),
  },
  Mutation: {
    awardPoints: async (_, { input }, context) => {
      const awarded = await awardPoints(context.deps, {
        ...input,
        programId: ownProgram(context.caller),
        memberId: memberOf(context, input.memberId, 'input.memberId'),
      });
      if (!awarded.ok) return refusal(context, awarded);
      return { __typename: 'AwardPointsSuccess', ...awarded };
    },
    grantPoints: (_, { input }, context) =>
      grantPoints(context.deps, {
        ...input,
        programId: ownProgram(context.caller),
        memberId: memberOf(context, input.memberId, 'input.memberId'),
      }),
    spendPoints: async (_, { input }, context) => {
      const spent = await spendPoints(context.deps, {
        ...input,
        programId: ownProgram(context.caller),
        memberId: memberOf(context, input.memberId, 'input.memberId'),
      });
      if (!spent.ok) return refusal(context, spent);
      return { __typename: 'SpendPointsSuccess', ...spent };
    },
    refundSpend: async (_, { input }, context) => {
      const spend = await refundSpend(context.deps, {
        ...input,
        programId: ownProgram(context.caller),
        spendId: idOf<SpendId>(input.spendId, { field: 'input.spendId', what: 'spend' }),
      });
      noteMember(context, spend.memberId);
      return spend;
    },
    reverseAward: async (_, { input }, context) => {
      const done = await reverseAward(context.deps, {
        ...input,
        programId: ownProgram(context.caller),
      });
      noteMember(context, done.memberId);
      return {
        reversed: Number(done.reversed),
        debt: Number(done.debt),
        pending: done.pending,
        alreadyReversed: done.alreadyReversed,
        member: done.memberId === null ? null : await holder(context, done.memberId),
      };
    },
  },
  // Read only where it is selected: a till that awards does not pay for the member's row.
  AwardPointsSuccess: {
    member: ({ batch }, _, context) => holder(context, batch.memberId),
  },
  SpendPointsSuccess: {
    member: ({ spend }, _, context) => holder(context, spend.memberId),
  },
  LedgerBatch: {
    amount: (lot) => (lot.amount === null ? null : Number(lot.amount)),
    requested: (lot) => Number(lot.requested),
    points: (lot) => Number(lot.points),
    remaining: (lot) => Number(lot.remaining),
    expired: (lot) => Number(lot.expired),
    reversed: (lot) => Number(lot.reversed),
    cancelled: (lot) => Number(lot.cancelled),
  },
  LedgerEntry: {
    id: (entry) => entry.id.toString(),
    points: (entry) => Number(entry.points),
    balanceAfter: (entry) => Number(entry.balanceAfter),
    batch: (entry, _, context) =>
      entry.batchId === null ? null : context.loaders.lot().load(entry.batchId),
  },
  Spend: {
    points: (spend) => Number(spend.points),
    refunded: (spend) => Number(spend.refunded),
    allocations: (spend, _, { loaders }) => loaders.draws().load(spend.id),
  },
  ConsumptionAllocation: {
    points: (draw) => Number(draw.points),
    refunded: (draw) => Number(draw.refunded),
    batch: async (draw, _, { loaders }) => {
      const lot = await loaders.lot().load(draw.batchId);
      if (!lot) throw new Error('a draw on no lot');
      return lot;
    },
  },
} satisfies Resolvers;
