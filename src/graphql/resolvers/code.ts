import {
  type Code,
  claimCode,
  codeById,
  findCode,
  redeemCode,
  redemptionsOfOrder,
  releaseCode,
  reserveCode,
  revokeCode,
  voidRedemption,
} from '../../coupons/index.ts';
import type { Resolvers } from '../../generated/graphql.ts';
import { Mistake } from '../../kernel/errors.ts';
import type { CodeId, PoolId, RedemptionId } from '../../kernel/ids.ts';
import { parse, text } from '../../kernel/input.ts';
import type { Context } from '../context.ts';
import { actorOf, ownProgram } from '../loaders.ts';
import { askerOf, guestNamed, idOf, memberNamed, recipientNamed } from './input.ts';
import { poolOf } from './pool.ts';
import { refusal } from './refusal.ts';

export const codeResolvers = {
  Query: {
    code: (_, { id }, { deps, caller }) => codeById(deps, { programId: ownProgram(caller), id }),
    findCode: (_, { code }, { deps, caller }) =>
      findCode(deps, { programId: ownProgram(caller), code }),
    order: (_, args, { deps, caller }) => {
      const orderId = parse(text(200), args.orderId, 'orderId');
      return redemptionsOfOrder(deps, { programId: ownProgram(caller), orderId });
    },
  },
  Mutation: {
    claimCode: async (_, { input }, context) => {
      const claimed = await claimCode(context.deps, {
        programId: ownProgram(context.caller),
        poolId: idOf<PoolId>(input.poolId, { field: 'input.poolId', what: 'pool' }),
        memberId: memberNamed(context, { id: input.memberId, field: 'input.memberId' }),
        email: guestNamed(context, { id: input.email, field: 'input.email' }),
        recipientId: recipientNamed(context, input.recipientId),
        claimKey: input.claimKey,
        actor: actorOf(context.caller),
      });
      return claimed.ok
        ? { __typename: 'ClaimCodeSuccess', ...claimed }
        : refusal(context, claimed);
    },
    reserveCode: async (_, { input: { memberId, ...input } }, context) => {
      const asker = askerOf(context, { id: memberId, field: 'input.memberId' });
      const programId = ownProgram(context.caller);
      const reserved = await reserveCode(context.deps, { programId, ...input, asker });
      return reserved.ok
        ? { __typename: 'ReserveCodeSuccess', ...reserved }
        : refusal(context, reserved);
    },
    releaseCode: (_, args, context) => {
      const asker = askerOf(context, { id: undefined, field: 'memberId' });
      return releaseCode(context.deps, { programId: ownProgram(context.caller), ...args, asker });
    },
    redeemCode: async (_, { input: { memberId, ...input } }, context) => {
      const asker = askerOf(context, { id: memberId, field: 'input.memberId' });
      const programId = ownProgram(context.caller);
      const redeemed = await redeemCode(context.deps, { programId, ...input, asker });
      return redeemed.ok
        ? { __typename: 'RedeemCodeSuccess', ...redeemed }
        : refusal(context, redeemed);
    },
    voidRedemption: (_, { id, reason }, { deps, caller }) =>
      voidRedemption(deps, {
        programId: ownProgram(caller),
        redemptionId: idOf<RedemptionId>(id, { field: 'id', what: 'redemption' }),
        reason,
      }),
    revokeCode: (_, { id, reason }, { deps, caller }) =>
      revokeCode(deps, {
        programId: ownProgram(caller),
        codeId: idOf<CodeId>(id, { field: 'id', what: 'code' }),
        reason,
      }),
  },
  Code: {
    pool: (code, _, context) => poolOf(context, code.poolId),
    plaintext: (code, _, context) => plaintextOf(context, code),
    batch: (code, _, { loaders }) => loaders.batch().load(code.batchId),
    member: (code, _, { loaders }) =>
      code.memberId === null ? null : loaders.member().load(code.memberId),
    redemption: (code, _, { loaders }) =>
      code.status === 'REDEEMED' ? loaders.redemptionOfCode().load(code.id) : null,
  },
  Redemption: {
    code: async (redemption, _, { loaders }) => {
      const code = await loaders.code().load(redemption.codeId);
      if (!code) throw new Error('a redemption without its code');
      return code;
    },
    orderAmount: (redemption) => Number(redemption.orderAmount),
    discountAmount: (redemption) => Number(redemption.discountAmount),
  },
} satisfies Resolvers;

/**
 * To a member token only its own codes are ever given; their text least of all may be another's.
 */
function plaintextOf({ caller, loaders }: Context, code: Code): Promise<string> {
  if (caller.kind === 'member' && code.memberId !== caller.memberId)
    throw new Mistake('FORBIDDEN', 'Code.plaintext: a member token reads its own codes');
  return loaders.plaintext().load(code);
}
