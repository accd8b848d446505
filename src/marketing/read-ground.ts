import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { isUnavailable } from '../kernel/db.ts';
import { unavailable } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { getProgram } from '../programs/index.ts';
import { type Limits, termsOf } from './advisor/limits.ts';
import { within } from './advisor/within.ts';
import { factsInTime } from './kept-facts.ts';
import { noFacts } from './queries.ts';
import { readCalendar } from './sql/calendar.ts';
import { readOpenTerms } from './sql/open-terms.ts';
import type { Facts } from './types.ts';

/** Of the time for a report; the rest is the model's. */
const FACTS_PART = 0.4;
const PAUSE_MS = 50;

type Of = { programId: ProgramId; patienceMs: number };

export type Ground = {
  limits: Limits;
  /** How good the facts are: read now, the last ones that were, or none at all. */
  facts: 'FRESH' | 'OLDER' | 'NONE';
};

/**
 * All that a report is made of, in time whatever the database is busy with. Without the program
 * nothing is known of what it allows: so that one may take all of the time, and SERVICE_UNAVAILABLE
 * is thrown when it cannot be read.
 */
export async function readGround(deps: Deps, { programId, patienceMs }: Of): Promise<Ground> {
  const ms = patienceMs * FACTS_PART;
  const [read, terms, { facts: last, isLate }] = await Promise.all([
    within(patienceMs, readOwn(deps, { programId, patienceMs })),
    // Later than that they are of no more use than those that the facts know.
    within(ms, readOpenTerms(deps, { programId })).catch(() => undefined),
    factsInTime(deps, { programId, ms }),
  ]);
  if (!read) throw unavailable('the database is busy: ask again');
  const [{ maxDiscountRate }, { now, usualEnd, money }] = read;
  const facts = last ?? noFacts(now);
  const run = termsOf(terms ?? openIn(facts, now));
  return {
    limits: { facts, run, now, usualEnd, money, maxDiscountRate },
    facts: isLate ? (last ? 'OLDER' : 'NONE') : 'FRESH',
  };
}

/** A wait for a lock or for a connection ends sooner than the patience: then it begins anew. */
async function readOwn(deps: Deps, { programId, patienceMs }: Of) {
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    try {
      return await Promise.all([
        getProgram(deps, { programId }),
        readCalendar(deps, { programId }),
      ]);
    } catch (error) {
      if (!isUnavailable(error) || performance.now() > giveUpAt) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

const openIn = ({ pools }: Facts, now: Date) =>
  pools.filter(({ status, endsAt }) => status !== 'ARCHIVED' && (endsAt === null || endsAt > now));
