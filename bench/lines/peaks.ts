/** Whether a process takes more and more memory the longer it works. */
import process from 'node:process';
import type { Result } from '../report.ts';

/** How much was done when the process took so many bytes; by whatever measure. */
export type Sample = { done: number; bytes: number };

export const sample = (done: number): Sample => ({ done, bytes: process.memoryUsage.rss() });

const MEBIBYTE = 2 ** 20;
// A collection more or less: a straight line through the samples would measure little else.
const MAX_GROWTH = 1.1;

/** The most that it took in a part of the work, in MiB. */
const peak = (samples: readonly Sample[], from: number, to: number): number =>
  Math.max(
    ...samples
      .filter(({ done }) => done >= from && done <= to)
      .map(({ bytes }) => bytes / MEBIBYTE),
  );

/** The second half of the work against the quarter before it, when all is loaded and warm. */
export function memoryLine(operation: string, of: { samples: Sample[]; all: number }): Result {
  const { samples, all } = of;
  const [early, late] = [peak(samples, all / 4, all / 2), peak(samples, all / 2, all)];
  return {
    operation: `${operation}, MiB at most, second half to quarter`,
    ...{ ours: late, baseline: early, ratio: late / early, p50: null, p99: null },
    ...{ target: `<= ${MAX_GROWTH} x`, met: late / early <= MAX_GROWTH },
  };
}
