/** Each program's facts as they were read last: for a while, and for when there is no time. */
import type { Deps } from '../deps.ts';
import { type Db, errorCode } from '../kernel/db.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { within } from './advisor/within.ts';
import { readFacts } from './queries.ts';
import type { Facts } from './types.ts';

// Facts that took long are kept for twenty times as long, so that asking for them over and over
// takes a twentieth of one connection. Those of a small program are read anew each time.
const QUICK_MS = 1_000;
const KEPT_TIMES = 20;
const KEPT_AT_MOST_MS = 60_000;
/** Programs whose last facts stay: those of a large one may take half a megabyte. */
const MOST_KEPT = 50;

type Of = { programId: ProgramId };
type Kept = { facts: Facts; until: number };
type Known = { reading: Map<ProgramId, Promise<Facts>>; kept: Map<ProgramId, Kept> };

const known = new WeakMap<Db, Known>();

function knownOf(db: Db): Known {
  const found = known.get(db) ?? { reading: new Map(), kept: new Map() };
  known.set(db, found);
  return found;
}

/** What the advisor stands on; whoever asks while they are being read shares the reading. */
export async function couponFacts(deps: Deps, { programId }: Of): Promise<Facts> {
  const { reading, kept } = knownOf(deps.db);
  const began = deps.clock.now().getTime();
  const last = kept.get(programId);
  if (last && began < last.until) return last.facts;
  const shared = reading.get(programId);
  if (shared) return shared;
  const facts = readFacts(deps, { programId })
    .then((read) => keep(deps, { programId, facts: read, began }))
    .finally(() => reading.delete(programId));
  reading.set(programId, facts);
  return facts;
}

function keep({ db, clock }: Deps, of: Of & { facts: Facts; began: number }): Facts {
  const { kept } = knownOf(db);
  const now = clock.now().getTime();
  const took = now - of.began;
  const keepFor = took >= QUICK_MS ? Math.min(took * KEPT_TIMES, KEPT_AT_MOST_MS) : 0;
  kept.delete(of.programId);
  kept.set(of.programId, { facts: of.facts, until: now + keepFor });
  for (const oldest of kept.keys()) if (kept.size > MOST_KEPT) kept.delete(oldest);
  return of.facts;
}

export type FactsInTime = { facts: Facts | undefined; isLate: boolean };

/**
 * When they are late or cannot be read, the last ones that were, however old; undefined: this
 * process has read none. The reading goes on for whoever asks next.
 */
export async function factsInTime(deps: Deps, of: Of & { ms: number }): Promise<FactsInTime> {
  const reading = couponFacts(deps, of).catch((error) => {
    deps.log.warn({ code: errorCode(error) }, 'the facts of the advisor could not be read');
    return undefined;
  });
  const facts = await within(of.ms, reading);
  if (facts) return { facts, isLate: false };
  return { facts: knownOf(deps.db).kept.get(of.programId)?.facts, isLate: true };
}
