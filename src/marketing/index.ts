/** The door of the room: what others may use of it. */
export { addAudience } from './add-audience.ts';
export { addRecipients } from './add-recipients.ts';
export { adoptSuggestion } from './adopt-suggestion.ts';
export {
  campaignById,
  listCampaigns,
  listRecipients,
} from './campaigns.ts';
export { couponAdvisor } from './coupon-advisor.ts';
export { createCampaign } from './create-campaign.ts';
export { exportCodes } from './export-codes.ts';
export { issueCampaign } from './issue-campaign.ts';
export { MAX_POOLS } from './queries.ts';
export { openCampaigns, runCampaign } from './run-campaign.ts';
export { codesOfRecipients } from './sql/held-codes.ts';
export type {
  Draft,
  Facts,
  PoolFacts,
  Proposal,
  Report,
  SegmentFacts,
  Suggestion,
} from './types.ts';
export {
  type AudienceInput,
  CAMPAIGN_RUN,
  type Campaign,
  type CampaignRecipient,
  type CampaignRef,
  type RecipientInput,
} from './types.ts';
