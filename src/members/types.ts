import type { MemberId, ProgramId } from '../kernel/ids.ts';

export type { Member } from '../generated/prisma/client.ts';

/** Left out: kept. Null: removed. */
export type UpsertMemberInput = {
  externalId: string;
  email?: string | null | undefined;
  emailVerified?: boolean | null | undefined;
  /** A local date, YYYY-MM-DD. */
  birthday?: string | null | undefined;
};

export type MemberRef = { programId: ProgramId; memberId: MemberId };
