import type { RefusalReason, Resolvers } from '../../generated/graphql.ts';
import type { CampaignId } from '../../kernel/ids.ts';
import {
  addAudience,
  addRecipients,
  type CampaignRef,
  campaignById,
  createCampaign,
  issueCampaign,
  listCampaigns,
  listRecipients,
} from '../../marketing/index.ts';
import type { Context } from '../context.ts';
import { ownProgram } from '../loaders.ts';
import { idOf } from './input.ts';
import { poolOf } from './pool.ts';

const refOf = ({ caller }: Context, id: string, field = 'campaignId'): CampaignRef => ({
  programId: ownProgram(caller),
  campaignId: idOf<CampaignId>(id, { field, what: 'campaign' }),
});

export const campaignResolvers = {
  Query: {
    campaign: (_, { id }, { deps, caller }) =>
      campaignById(deps, { programId: ownProgram(caller), id }),
    campaigns: (_, { first, after }, { deps, caller }) =>
      listCampaigns(deps, {
        programId: ownProgram(caller),
        first: first as number,
        after: after ?? null,
      }),
  },
  Mutation: {
    createCampaign: (_, { input }, { deps, caller }) =>
      createCampaign(deps, { programId: ownProgram(caller), input }),
    addRecipients: (_, { campaignId, recipients }, context) =>
      addRecipients(context.deps, { ...refOf(context, campaignId), recipients }),
    addAudience: (_, { campaignId, audience }, context) =>
      addAudience(context.deps, {
        ...refOf(context, campaignId),
        audience,
        isGone: context.isGone,
      }),
    issueCampaign: (_, { id }, context) => issueCampaign(context.deps, refOf(context, id, 'id')),
  },
  Campaign: {
    pool: (campaign, _, context) => poolOf(context, campaign.poolId),
    recipientList: (campaign, { first, after }, context) =>
      listRecipients(context.deps, {
        ...refOf(context, campaign.id),
        first: first as number,
        after: after ?? null,
      }),
  },
  CampaignRecipient: {
    member: ({ memberId }, _, { loaders }) =>
      memberId === null ? null : loaders.member().load(memberId),
    code: ({ id, codeId }, _, { loaders }) =>
      codeId === null ? null : loaders.codeOfRecipient().load(id),
    refusal: ({ refusal }) => refusal as RefusalReason | null,
  },
} satisfies Resolvers;
