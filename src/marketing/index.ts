/** The door of the room: what others may use of it. */
export { adoptSuggestion } from './adopt-suggestion.ts';
export { couponAdvisor } from './coupon-advisor.ts';
export { MAX_POOLS } from './queries.ts';
export type {
  Draft,
  Facts,
  PoolFacts,
  Proposal,
  Report,
  SegmentFacts,
  Suggestion,
} from './types.ts';
