import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../deps.ts';
import { conflict } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { takeLease } from '../kernel/lease.ts';

/** One at a time works on the days of a program: the fleet, or whoever advances its clock. */
export const WORK = 'work';

const ASK_AGAIN_MS = 100;

type Of = {
  programId: ProgramId;
  signal?: AbortSignal;
  /** How long to wait for whoever is at it, in milliseconds. */
  patience?: number;
};

/** Undefined, and nothing done, while somebody else is at it. */
export async function atWork<T>(
  deps: Deps,
  { programId, signal, patience = 0 }: Of,
  work: (mayGoOn: () => void) => Promise<T>,
): Promise<{ result: T } | undefined> {
  const until = performance.now() + patience;
  let lease = await takeLease(deps, { programId, name: WORK });
  while (!lease && performance.now() < until) {
    await sleep(ASK_AGAIN_MS);
    lease = await takeLease(deps, { programId, name: WORK });
  }
  if (!lease) return undefined;
  try {
    const result = await work(() => {
      if (!lease.isHeld()) throw conflict('somebody else has taken over the daily work');
      signal?.throwIfAborted();
    });
    return { result };
  } finally {
    await lease.release();
  }
}
