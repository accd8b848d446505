import type { Tx } from './db.ts';

/**
 * Everything that is told to the outside, in the order of docs/events.md, which says when each is
 * written and what its data are. Functions in prisma/functions write most of them.
 */
export const EVENT_TYPES = [
  'member.created',
  'member.updated',
  'pool.created',
  'pool.updated',
  'pool.codes_added',
  'pool.activated',
  'pool.paused',
  'pool.resumed',
  'pool.archived',
  'code.claimed',
  'code.bound',
  'code.reserved',
  'code.released',
  'code.redeemed',
  'code.redemption_voided',
  'code.revoked',
  'code.replaced',
  'code.recycled',
  'campaign.issued',
  'points.awarded',
  'points.debt_paid',
  'points.spent',
  'points.refunded',
  'points.reversed',
  'points.expired',
  'tier.upgraded',
  'tier.grace_started',
  'tier.grace_warning',
  'tier.grace_cleared',
  'tier.downgraded',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

export type NewEvent = {
  programId: string;
  type: EventType;
  memberId?: string | null;
  /** Ids that the engine made, numbers, instants and names of the schema; never a client's text. */
  data: Record<string, string | number | readonly string[]>;
};

/**
 * Writes an event in the transaction of the change that it tells of. The transaction has taken all
 * its locks before its first write: a member's events are read in the order in which the
 * transactions got their numbers, and that is then the order of their locks.
 */
export async function appendEvent(tx: Tx, event: NewEvent): Promise<void> {
  await tx.$queryRaw`
    SELECT append_event(${event.programId}::uuid, ${event.type}, ${event.memberId ?? null}::uuid,
      ${JSON.stringify(event.data)}::jsonb, program_now(${event.programId}::uuid))::text`;
}
