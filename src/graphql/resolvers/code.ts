import {
  type Code,
  claimCode,
  codeById,
  findCode,
  listConflicts,
  redeemCode,
  redemptionsOfOrder,
  releaseCode,
  reserveCode,
  revokeCode,
  revokeCodes,
  voidRedemption,
} from '../../coupons/index.ts';
import type { Resolvers, RevokeCodesInput } from '../../generated/graphql.ts';
import { Mistake } from '../../kernel/errors.ts';
import type { BatchId, CampaignId, CodeId, PoolId, RedemptionId } from '../../kernel/ids.ts';
import { parse, text } from '../../kernel/input.ts';
import type { Context } from '../context.ts';
import { actorOf, ownProgram } from '../loaders.ts';
import { askerOf, guestNamed, idOf, memberNamed, noteMember, recipientNamed } from './input.ts';
import { holder } from './member.ts';
import { poolOf } from './pool.ts';
import { refusal } from './refusal.ts';

export const codeResolvers = {
  Query: {
    code: (_, { id }, { deps, caller }) => codeById(deps, { programId: ownProgram(caller), id }),
    findCode: (_, { code }, { deps, caller }) =>
      findCode(deps, { programId: ownProgram(caller), code }),
    ownershipConflicts: (_, { first, after }, { deps, caller }) =>
      listConflicts(deps, {
        programId: ownProgram(caller),
        first: first as number,
        after: after ?? null,
      }),
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
      if (!claimed.ok) return refusal(context, claimed);
      noteMember(context, claimed.code.memberId);
      return { __typename: 'ClaimCodeSuccess', ...claimed };
    },
    reserveCode: async (_, { input: { memberId, ...input } }, context) => {
      const asker = askerOf(context, { id: memberId, field: 'input.memberId' });
      const programId = ownProgram(context.caller);
      const reserved = await reserveCode(context.deps, { programId, ...input, asker });
      if (!reserved.ok) return refusal(context, reserved);
      noteMember(context, reserved.code.memberId);
      return { __typename: 'ReserveCodeSuccess', ...reserved };
    },
    releaseCode: (_, args, context) => {
      const asker = askerOf(context, { id: undefined, field: 'memberId' });
      return releaseCode(context.deps, { programId: ownProgram(context.caller), ...args, asker });
    },
    redeemCode: async (_, { input: { memberId, ...input } }, context) => {
      const asker = askerOf(context, { id: memberId, field: 'input.memberId' });
      const programId = ownProgram(context.caller);
      const redeemed = await redeemCode(context.deps, { programId, ...input, asker });
      if (!redeemed.ok) return refusal(context, redeemed);
      noteMember(context, redeemed.code.memberId);
      return { __typename: 'RedeemCodeSuccess', ...redeemed };
    },
    voidRedemption: async (_, { id, reason }, context) => {
      const redemption = await voidRedemption(context.deps, {
        programId: ownProgram(context.caller),
        redemptionId: idOf<RedemptionId>(id, { field: 'id', what: 'redemption' }),
        reason,
      });
      noteMember(context, (await codeOf(context, redemption.codeId)).memberId);
      return redemption;
    },
    revokeCode: (_, { id, reason }, { deps, caller }) =>
      revokeCode(deps, {
        programId: ownProgram(caller),
        codeId: idOf<CodeId>(id, { field: 'id', what: 'code' }),
        reason,
      }),
    revokeCodes: (_, { input }, { deps, caller }) =>
      revokeCodes(deps, { ...input, ...targetOf(input), programId: ownProgram(caller) }),
  },
  Code: {
    pool: (code, _, context) => poolOf(context, code.poolId),
    plaintext: (code, _, context) => plaintextOf(context, code),
    batch: (code, _, { loaders }) => loaders.batch().load(code.batchId),
    member: (code, _, context) => {
      refuseAnothers(context, { code, field: 'member' });
      return code.memberId === null ? null : context.loaders.member().load(code.memberId);
    },
    redemption: (code, _, context) => {
      refuseAnothers(context, { code, field: 'redemption' });
      return code.status === 'REDEEMED' ? context.loaders.redemptionOfCode().load(code.id) : null;
    },
    replacedBy: (code, _, context) => replacementOf(context, code),
  },
  OwnershipConflict: {
    id: (conflict) => conflict.id.toString(),
    code: (conflict, _, context) => codeOf(context, conflict.codeId),
    owner: (conflict, _, context) => holder(context, conflict.ownerId),
    other: (conflict, _, context) => holder(context, conflict.otherId),
  },
  Redemption: {
    code: (redemption, _, context) => codeOf(context, redemption.codeId),
    orderAmount: (redemption) => Number(redemption.orderAmount),
    discountAmount: (redemption) => Number(redemption.discountAmount),
  },
} satisfies Resolvers;

/** Of a row that a foreign key binds to its code. */
async function codeOf({ loaders }: Context, codeId: string): Promise<Code> {
  const code = await loaders.code().load(codeId);
  if (!code) throw new Error('a row without its code');
  return code;
}

/** Which codes are to be revoked, by what the caller named. */
function targetOf(input: RevokeCodesInput) {
  const named = <T extends string>(field: 'poolId' | 'batchId' | 'campaignId', what: string) => {
    const id = input[field];
    return id == null ? undefined : idOf<T>(id, { field: `input.${field}`, what });
  };
  return {
    poolId: named<PoolId>('poolId', 'pool'),
    batchId: named<BatchId>('batchId', 'batch'),
    campaignId: named<CampaignId>('campaignId', 'campaign'),
  };
}

/**
 * A replacement that nobody saw may have gone back to its pool, and be nobody's or another holder's
 * by now.
 */
async function replacementOf({ loaders }: Context, code: Code): Promise<Code | null> {
  if (code.replacedById === null) return null;
  const fresh = await loaders.code().load(code.replacedById);
  const isStillTheirs = fresh?.memberId === code.memberId && fresh?.claimEmail === code.claimEmail;
  return isStillTheirs ? fresh : null;
}

/**
 * To a member token only its own codes are ever given; what could be another's is kept from it here
 * as well.
 */
function refuseAnothers({ caller }: Context, { code, field }: { code: Code; field: string }) {
  if (caller.kind === 'member' && code.memberId !== caller.memberId)
    throw new Mistake('FORBIDDEN', `Code.${field}: a member token reads its own codes`);
}

function plaintextOf(context: Context, code: Code): Promise<string> {
  refuseAnothers(context, { code, field: 'plaintext' });
  return context.loaders.plaintext().load(code);
}
