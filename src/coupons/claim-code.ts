import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { badInput, notFound, orWhenBusy, unavailable } from '../kernel/errors.ts';
import { counted } from '../kernel/hot-metrics.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { emailAddress } from '../members/index.ts';
import type { ClaimAnswer, ClaimItem } from './sql/claim-codes.ts';
import { topUpPool } from './top-up-pool.ts';
import type { Actor, Code, CouponRefusal, PoolRef, Refused } from './types.ts';
import { openCode } from './vault.ts';

const PATIENCE_MS = 2_000;
const PAUSE_MS = 10;
const BUSY: ClaimAnswer = { outcome: 'BUSY', topUpPoolId: null, code: undefined };
// Made once: to make a schema takes longer than all else that is read here.
const claimKeyText = text(200).nullish();

/** Exactly one of `memberId`, `email` and `recipientId`. `actor` is who is given the text. */
export type Claim = PoolRef & {
  memberId?: string | null | undefined;
  email?: string | null | undefined;
  /** Somebody of a campaign for this pool; the campaign knows of the code at once. */
  recipientId?: string | null | undefined;
  claimKey?: string | null | undefined;
  actor: Actor;
};

export type Claimed = { ok: true; code: Code; plaintext: string; alreadyClaimed: boolean };

/**
 * Gives the claimant one code of the pool, for good: the one that this person already holds, or a
 * free one. The first hand-out of a code's text is recorded.
 *
 * Locks: IDENTITY of everything that could be the same person, POOL shared, one code row; of a
 * recipient its row and the campaign's.
 * Refusals: POOL_NOT_ISSUING, NOT_ELIGIBLE, CLAIM_LIMIT_REACHED, POOL_EXHAUSTED, BUSY; NOT_FOUND
 * names the field.
 * A retry returns the same code, with alreadyClaimed.
 * Events: code.claimed for a code that had no claimant; pool.codes_added where the pool mints;
 * campaign.issued for the last recipient who had been refused.
 */
export async function claimCode(deps: Deps, claim: Claim): Promise<Claimed | Refused> {
  const item = readClaim(claim);
  const settled = settle(deps, { programId: claim.programId, item });
  const answer = counted(deps, { operation: 'claim', answer: settled });
  return toResult(deps, { item, answer: await orWhenBusy(answer, BUSY) });
}

/** Submits the claim until it is answered, minting for the pool where it asks for that. */
async function settle(
  deps: Deps,
  { programId, item }: { programId: ProgramId; item: ClaimItem },
): Promise<ClaimAnswer> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await deps.hot.claims.submit(programId, item);
    if (answer.outcome !== 'TOP_UP') return answer;
    if (performance.now() > giveUpAt) throw unavailable('the pool is being topped up: ask again');
    const poolId = answer.topUpPoolId as PoolRef['poolId'];
    const minted = await topUpPool(deps, { programId, poolId });
    if (minted === 0) await sleep(PAUSE_MS); // another process mints: its codes are about to come
  }
}

function readClaim(claim: Claim): ClaimItem {
  const named = [claim.memberId, claim.email, claim.recipientId].filter((name) => name != null);
  if (named.length !== 1) throw badInput('input', 'exactly one of memberId, email and recipientId');
  return {
    poolId: claim.poolId,
    memberId: claim.memberId ?? undefined,
    recipientId: claim.recipientId ?? undefined,
    email: claim.email == null ? undefined : parse(emailAddress, claim.email, 'input.email'),
    claimKey: parse(claimKeyText, claim.claimKey || null, 'input.claimKey') ?? '',
    actor: claim.actor,
  };
}

type Answered = { item: ClaimItem; answer: ClaimAnswer };

function toResult(deps: Deps, { item, answer }: Answered): Claimed | Refused {
  const { outcome, code } = answer;
  if (outcome === 'NO_SUCH_POOL') throw notFound('input.poolId', 'pool');
  if (outcome === 'NO_SUCH_CLAIMANT')
    throw item.recipientId
      ? notFound('input.recipientId', 'recipient')
      : notFound('input.memberId', 'member');
  if (!code) return { ok: false, reason: outcome as CouponRefusal };
  const plaintext = openCode(deps, code);
  return { ok: true, code, plaintext, alreadyClaimed: outcome === 'HELD' };
}
