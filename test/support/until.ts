import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until the answer is yes; fails when it has not come in time. */
export async function until(is: () => unknown, seconds = 60): Promise<void> {
  const giveUpAt = performance.now() + seconds * 1_000;
  while (!(await is())) {
    if (performance.now() > giveUpAt) throw new Error(`it did not happen within ${seconds} s`);
    await sleep(20);
  }
}
