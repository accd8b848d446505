import type { Deps } from '../deps.ts';
import { inTransaction, retrying, type Tx } from '../kernel/db.ts';
import { orWhenBusy, unavailable } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { parse, text, whole } from '../kernel/input.ts';
import { appendEvent } from '../kernel/outbox.ts';
import { readCode } from './canonical.ts';
import { type CodeOf, lockCode } from './lock-code.ts';
import { withinBudget } from './lookup-budget.ts';
import { requireOwner } from './owner.ts';
import { refused } from './refused.ts';
import { type CodeRow, toCode } from './sql/code-row.ts';
import type { Asker, Code, Refused } from './types.ts';
import { lookupHashes } from './vault.ts';

const MAX_TTL_SECONDS = 86_400;

export type Reserve = {
  programId: ProgramId;
  code: string;
  orderId: string;
  ttlSeconds: number;
  asker: Asker;
};

export type Reserved = { ok: true; code: Code; reservedUntil: Date };
type Answer = { outcome: string; code: Code | undefined };

/**
 * Holds a code for an order before its payment; the same order extends it.
 *
 * Locks: the code's row.
 * Refusals: those of redeemCode about the code itself.
 * A retry extends the reservation from now.
 * Events: code.reserved.
 */
export async function reserveCode(deps: Deps, reserve: Reserve): Promise<Reserved | Refused> {
  const canonical = readCode(reserve.code, 'input.code');
  const { asker, programId } = reserve;
  const item = {
    ord: 0,
    hashes: lookupHashes(deps, canonical).map((hash) => hash.toString('hex')),
    order_id: parse(text(200), reserve.orderId, 'input.orderId'),
    ttl_seconds: parse(whole(1, MAX_TTL_SECONDS), reserve.ttlSeconds, 'input.ttlSeconds'),
    caller_id: asker.kind === 'member' ? asker.memberId : undefined,
    owner_id: asker.kind === 'merchant' ? asker.owner : undefined,
  };
  const busy: Answer = { outcome: 'BUSY', code: undefined };
  const run = () => orWhenBusy(call(deps, programId, JSON.stringify(item)), busy);
  if (asker.kind === 'merchant') {
    await requireOwner(deps, { programId, asker });
    return toResult(await run(), canonical);
  }
  const answer = await withinBudget(deps, { ...asker, programId }, { run, isOwn });
  return answer === 'BUSY' ? { ok: false, reason: 'BUSY' } : toResult(answer, canonical);
}

const isOwn = (answer: Answer) => answer.outcome !== 'CODE_NOT_REDEEMABLE';

async function call(deps: Deps, programId: string, item: string): Promise<Answer> {
  const rows = await retrying(
    () => deps.db.$queryRaw<(CodeRow & { outcome: string })[]>`
      SELECT outcome, (code).* FROM reserve_code(${programId}::uuid, ${item}::jsonb)`,
  );
  const row = rows[0] as CodeRow & { outcome: string };
  return { outcome: row.outcome, code: row.id ? toCode(row) : undefined };
}

function toResult({ outcome, code }: Answer, canonical: string): Reserved | Refused {
  if (code?.reservedUntil) return { ok: true, code, reservedUntil: code.reservedUntil };
  return refused(outcome, canonical);
}

export type Release = { programId: ProgramId; code: string; orderId: string; asker: Asker };

/**
 * Ends a reservation; true when this order held one. About a code that is not its own a member
 * token hears false, out of the same budget.
 *
 * Locks: the code's row.
 * Refusals: none; SERVICE_UNAVAILABLE when the budget cannot be counted.
 * A retry answers false.
 * Events: code.released.
 */
export async function releaseCode(deps: Deps, release: Release): Promise<boolean> {
  const hashes = lookupHashes(deps, readCode(release.code, 'code'));
  const orderId = parse(text(200), release.orderId, 'orderId');
  const { asker, programId } = release;
  const memberId = asker.kind === 'member' ? asker.memberId : null;
  const run = async () => {
    const found = await deps.db.code.findFirst({
      where: { programId, lookupHash: { in: hashes.map((hash) => new Uint8Array(hash)) } },
      select: { id: true, memberId: true },
    });
    if (!found || (memberId && found.memberId !== memberId)) return { own: false, released: 0 };
    const of = { programId, codeId: found.id, orderId };
    return { own: true, released: await inTransaction(deps, (tx) => endReservation(tx, of)) };
  };
  if (asker.kind === 'merchant') return (await run()).released === 1;
  const answer = await withinBudget(deps, { ...asker, programId }, { run, isOwn: (a) => a.own });
  if (answer === 'BUSY') throw unavailable('the engine is busy: ask again');
  return answer.released === 1;
}

/** Answers how many it ended: one, or none when this order holds the code no longer. */
async function endReservation(tx: Tx, of: CodeOf & { orderId: string }): Promise<number> {
  const { programId, codeId, orderId } = of;
  await lockCode(tx, of);
  const [ended] = await tx.$queryRaw<{ poolId: string; memberId: string | null }[]>`
    UPDATE codes SET reserved_for = NULL, reserved_until = NULL
    WHERE program_id = ${programId}::uuid AND id = ${codeId}::uuid
      AND reserved_for = ${orderId} AND reserved_until > program_now(program_id)
    RETURNING pool_id::text AS "poolId", member_id::text AS "memberId"`;
  if (!ended) return 0;
  const { poolId, memberId } = ended;
  await appendEvent(tx, { programId, type: 'code.released', memberId, data: { codeId, poolId } });
  return 1;
}
