import DataLoader from 'dataloader';
import {
  batchesByIds,
  type Code,
  codesByIds,
  poolsByIds,
  redemptionsOfCodes,
  revealCodes,
  statsOfPools,
  walletsOf,
} from '../coupons/index.ts';
import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';
import {
  drawsOfSpends,
  earned12Months,
  type HistoryPage,
  lotsByIds,
  pointsOfMembers,
  tierHistories,
} from '../loyalty/index.ts';
import { codesOfRecipients } from '../marketing/index.ts';
import { membersByIds } from '../members/index.ts';
import { type Caller, tiersByIds } from '../programs/index.ts';

type Of = { programId: ProgramId; ids: readonly string[] };
type ByIds<Row> = (deps: Deps, of: Of) => Promise<Row[]>;

/**
 * What stands beside the rows of a list is read for all of them at once. Nothing is remembered: in
 * a document with several mutations a later one must not be answered with what an earlier one read.
 */
const UNREMEMBERED = { cache: false } as const;

export type Loaders = ReturnType<typeof makeLoaders>;

/** Made anew for each request, each loader when it is first asked for. */
export function makeLoaders(deps: Deps, caller: Caller) {
  const byIds = <Row>(read: ByIds<Row>) =>
    lazy(() => {
      const programId = ownProgram(caller);
      return new DataLoader<string, Row>((ids) => read(deps, { programId, ids }), UNREMEMBERED);
    });
  return {
    tier: byIds(tiersByIds),
    member: byIds(membersByIds),
    wallet: byIds(walletsOf),
    pool: byIds(poolsByIds),
    poolStats: byIds(statsOfPools),
    batch: byIds(batchesByIds),
    code: byIds(codesByIds),
    codeOfRecipient: byIds(codesOfRecipients),
    points: byIds(pointsOfMembers),
    earned: byIds(earned12Months),
    lot: byIds(lotsByIds),
    draws: byIds(drawsOfSpends),
    redemptionOfCode: byIds(redemptionsOfCodes),
    tierHistory: lazy(() => histories(deps, caller)),
    plaintext: lazy(() => plaintexts(deps, caller)),
  };
}

/** Each reading is recorded, all those of one answer in one transaction. */
function plaintexts(deps: Deps, caller: Caller): DataLoader<Code, string> {
  const programId = ownProgram(caller);
  const actor = actorOf(caller);
  return new DataLoader((codes) => revealCodes(deps, { programId, codes, actor }), UNREMEMBERED);
}

function histories(deps: Deps, caller: Caller) {
  const programId = ownProgram(caller);
  return new DataLoader(
    (pages: readonly HistoryPage[]) => tierHistories(deps, { programId, pages }),
    UNREMEMBERED,
  );
}

function lazy<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** The rules in access.ts keep the root key, which has no program, away from all that needs one. */
export function ownProgram(caller: Caller): ProgramId {
  if (caller.kind === 'root') throw new Error('the root key has no program of its own');
  return caller.programId;
}

/** For the record of who was given a code's text. */
export function actorOf(caller: Caller): `key:${string}` | `member:${string}` {
  if (caller.kind === 'root') throw new Error('the root key reads no codes');
  return caller.kind === 'key' ? `key:${caller.keyId}` : `member:${caller.memberId}`;
}
