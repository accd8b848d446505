/** What races and properties share: how often they go round, and their repeatable luck. */
import { TestRunner } from 'vitest';
import { seed, torture } from './seed.ts';

export { seed, torture };

declare module 'vitest' {
  export interface TaskMeta {
    rounds?: number;
  }
}

/** The time limit of a test with processes of its own, or that may have to wait for midnight. */
export const PATIENCE = { timeout: torture ? 3_600_000 : 300_000 };

/** `small` in `npm test`, `full` in `npm run torture`, whose last lines say how many there were. */
export function rounds(small: number, full: number): number {
  const count = torture ? full : small;
  const test = TestRunner.getCurrentTest();
  if (test) test.meta.rounds = (test.meta.rounds ?? 0) + count;
  return count;
}

export type Luck = { below(end: number): number; shuffled<T>(items: readonly T[]): T[] };

/** Mulberry32: the same numbers for the same seed (FLASH_SEED) and name. */
export function luck(name: string): Luck {
  let state = seed;
  for (const character of name)
    state = Math.imul(state ^ (character.codePointAt(0) ?? 0), 16777619);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number) => Math.floor(next() * end);
  const shuffled = <T>(items: readonly T[]): T[] => {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = below(i + 1);
      [result[i], result[j]] = [result[j] as T, result[i] as T];
    }
    return result;
  };
  return { below, shuffled };
}
