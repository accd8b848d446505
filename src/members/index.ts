export { emailAddress, normaliseEmail } from './email.ts';
export { findMember, listMembers, type MemberKey, membersByIds, requireMember } from './queries.ts';
export type { Member, MemberRef, UpsertMemberInput } from './types.ts';
export { upsertMember } from './upsert-member.ts';
