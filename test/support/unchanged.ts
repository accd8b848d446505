/** "And nothing changed", around whatever is refused. */
import { expect } from 'vitest';
import type { Refused } from '../../src/coupons/index.ts';
import type { Db } from '../../src/kernel/db.ts';
import { Mistake } from '../../src/kernel/errors.ts';
import { snapshot } from './snapshot.ts';

/** Runs what is to change nothing, and answers what it answered. */
export async function unchanged<T>(db: Db, work: () => Promise<T>): Promise<T> {
  const before = await snapshot(db);
  const answer = await work();
  expect(await snapshot(db)).toEqual(before);
  return answer;
}

/** Runs what is to throw a Mistake and change nothing, and answers the Mistake. */
export async function mistake(db: Db, work: () => Promise<unknown>): Promise<Mistake> {
  return unchanged(db, async () => {
    const error = await work().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(Mistake);
    return error as Mistake;
  });
}

/** Runs what is to be refused and change nothing, and answers the reason. */
export async function refusal(
  db: Db,
  work: () => Promise<{ ok: true } | Refused>,
): Promise<string> {
  return unchanged(db, async () => {
    const answer = await work();
    return answer.ok ? 'it was not refused' : answer.reason;
  });
}
