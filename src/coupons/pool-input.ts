import { z } from 'zod';
import type { DiscountKind, ExhaustionPolicy } from '../generated/prisma/client.ts';
import type { Tx } from '../kernel/db.ts';
import { badInput, notFound } from '../kernel/errors.ts';
import { parseId } from '../kernel/ids.ts';
import { parse, text, whole } from '../kernel/input.ts';

export type PoolInput = {
  name: string;
  discountKind: DiscountKind;
  discountValue: number;
  maxDiscount?: number | null | undefined;
  minOrderAmount: number;
  prefix?: string | null | undefined;
  startsAt?: Date | null | undefined;
  endsAt?: Date | null | undefined;
  perMemberLimit: number;
  minTierId?: string | null | undefined;
  exhaustion: ExhaustionPolicy;
  fallbackPoolId?: string | null | undefined;
  maxCodes?: number | null | undefined;
  stackable: boolean;
};

const PREFIXES: Record<DiscountKind, string> = { PERCENT: 'PCT-', AMOUNT: 'AMT-', GIFT: 'GFT-' };
const MAX_CHAIN = 8;
const MAX_CODES = 10_000_000;

const poolInput = z.object({
  name: text(200),
  discountKind: z.enum(['PERCENT', 'AMOUNT', 'GIFT']),
  discountValue: whole(0),
  maxDiscount: whole(1).nullish(),
  minOrderAmount: whole(0),
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,15}$/, { error: '1 to 16 letters, digits and dashes' })
    .nullish(),
  startsAt: z.date().nullish(),
  endsAt: z.date().nullish(),
  perMemberLimit: whole(1, 1_000),
  minTierId: z.string().nullish(),
  exhaustion: z.enum(['REFUSE', 'FALLBACK', 'TOP_UP']),
  fallbackPoolId: z.string().nullish(),
  maxCodes: whole(1, MAX_CODES).nullish(),
  stackable: z.boolean(),
});

/**
 * The settings of a pool as the database keeps them; BAD_USER_INPUT names the field that is wrong.
 */
export function readPoolInput(input: PoolInput) {
  const read = parse(poolInput, input, 'input');
  checkDiscount(read);
  if (read.startsAt && read.endsAt && read.startsAt >= read.endsAt)
    throw badInput('input.endsAt', 'an instant after startsAt');
  if ((read.exhaustion === 'FALLBACK') !== (read.fallbackPoolId != null))
    throw badInput('input.fallbackPoolId', 'a pool where exhaustion is FALLBACK, and only there');
  if (read.exhaustion === 'TOP_UP' && read.maxCodes == null)
    throw badInput('input.maxCodes', 'a number, because exhaustion is TOP_UP');
  return {
    ...read,
    discountValue: BigInt(read.discountValue),
    maxDiscount: read.maxDiscount == null ? null : BigInt(read.maxDiscount),
    minOrderAmount: BigInt(read.minOrderAmount),
    prefix: read.prefix ?? PREFIXES[read.discountKind],
    startsAt: read.startsAt ?? null,
    endsAt: read.endsAt ?? null,
    minTierId: read.minTierId == null ? null : idOr(read.minTierId, 'input.minTierId', 'tier'),
    fallbackPoolId:
      read.fallbackPoolId == null
        ? null
        : idOr(read.fallbackPoolId, 'input.fallbackPoolId', 'pool'),
    maxCodes: read.maxCodes ?? null,
  };
}

export type PoolSettings = ReturnType<typeof readPoolInput>;

function checkDiscount(read: z.infer<typeof poolInput>) {
  const { discountKind: kind, discountValue: value } = read;
  if (kind === 'PERCENT' && (value < 1 || value > 10_000))
    throw badInput('input.discountValue', 'basis points from 1 to 10000');
  if (kind === 'AMOUNT' && value < 1)
    throw badInput('input.discountValue', 'an amount of 1 minor unit or more');
  if (kind === 'GIFT' && value !== 0) throw badInput('input.discountValue', '0 for a gift');
  if (read.maxDiscount != null && kind !== 'PERCENT')
    throw badInput('input.maxDiscount', 'nothing unless discountKind is PERCENT');
}

function idOr(value: string, field: string, what: string): string {
  const id = parseId(value);
  if (!id) throw notFound(field, what);
  return id;
}

/**
 * What only the database knows: the tier and the fallback pool are this program's, and the chain of
 * fallbacks has at most eight pools and no circle. Within the PROGRAM lock, so that two halves of a
 * circle are not set at the same moment.
 */
export async function checkReferences(
  tx: Tx,
  of: { programId: string; poolId: string; settings: PoolSettings },
): Promise<void> {
  const { programId, poolId, settings } = of;
  const { minTierId, fallbackPoolId } = settings;
  if (minTierId) {
    const tier = await tx.tier.findUnique({
      where: { programId_id: { programId, id: minTierId } },
    });
    if (!tier) throw notFound('input.minTierId', 'tier');
  }
  if (!fallbackPoolId) return;
  const below = await tx.$queryRaw<{ id: string }[]>`
    SELECT pool_id::text AS id FROM pool_chain(${programId}::uuid, ${fallbackPoolId}::uuid)`;
  if (below.length === 0) throw notFound('input.fallbackPoolId', 'pool');
  if (below.some((pool) => pool.id === poolId))
    throw badInput('input.fallbackPoolId', 'a pool that does not lead back to this one');
  if (below.length + 1 + (await chainAbove(tx, { programId, poolId })) > MAX_CHAIN)
    throw badInput('input.fallbackPoolId', `a chain of at most ${MAX_CHAIN} pools`);
}

/** How many pools stand above this one in the longest chain that leads to it. */
async function chainAbove(tx: Tx, of: { programId: string; poolId: string }): Promise<number> {
  const [row] = await tx.$queryRaw<{ depth: number }[]>`
    WITH RECURSIVE above AS (
      SELECT 0 AS depth, ${of.poolId}::uuid AS id
      UNION ALL
      SELECT above.depth + 1, p.id FROM above
      JOIN pools p ON p.program_id = ${of.programId}::uuid AND p.fallback_pool_id = above.id
      WHERE above.depth <= ${MAX_CHAIN})
    SELECT max(depth)::int AS depth FROM above`;
  return row?.depth ?? 0;
}
