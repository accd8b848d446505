import type { Clock } from './clock.ts';
import type { Random } from './crypto.ts';

type Id<Kind extends string> = string & { readonly __kind: Kind };
export type ProgramId = Id<'program'>;
export type TierId = Id<'tier'>;
export type SecretKeyId = Id<'secretKey'>;
export type MemberId = Id<'member'>;
export type PoolId = Id<'pool'>;
export type BatchId = Id<'batch'>;
export type JobId = Id<'job'>;
export type CodeId = Id<'code'>;
export type RedemptionId = Id<'redemption'>;
export type RevocationId = Id<'revocation'>;
export type CampaignId = Id<'campaign'>;
export type RecipientId = Id<'recipient'>;
export type SpendId = Id<'spend'>;
export type WebhookId = Id<'webhook'>;
export type RefundId = Id<'refund'>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * A version 7 UUID (RFC 9562): made in order of time, so that new rows land side by side in an
 * index.
 */
export function newId<T extends string>(deps: { clock: Clock; random: Random }): T {
  return formatId(deps.clock.now().getTime(), deps.random.bytes(10)) as T;
}

/** `count` ids in ascending order, from one draw of randomness: what a batch of codes needs. */
export function newIds<T extends string>(
  deps: { clock: Clock; random: Random },
  count: number,
): T[] {
  const now = deps.clock.now().getTime();
  const bytes = deps.random.bytes(10 * count);
  const ids = Array.from({ length: count }, (_, i) =>
    formatId(now, bytes.subarray(i * 10, i * 10 + 10)),
  );
  return ids.sort() as T[];
}

function formatId(milliseconds: number, random: Buffer): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(milliseconds, 0, 6);
  random.copy(bytes, 6, 0, 10);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  const part = (from: number, to: number) => hex.slice(from, to);
  return `${part(0, 8)}-${part(8, 12)}-${part(12, 16)}-${part(16, 20)}-${part(20, 32)}`;
}

/** Undefined for a text that cannot be an id: for the caller it is then simply an id of nothing. */
export function parseId<T extends string>(text: string): T | undefined {
  const lower = text.toLowerCase();
  return UUID.test(lower) ? (lower as T) : undefined;
}
