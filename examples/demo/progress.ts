import process from 'node:process';
import { Presets, SingleBar } from 'cli-progress';
import type { Progress } from './scenario.ts';

/** A bar for each step in a terminal; its line with the time it took, everywhere. */
export const terminalProgress: Progress = {
  step(title, total) {
    const began = performance.now();
    const name = title.padEnd(12);
    const bar = new SingleBar(
      { format: `${name} {bar} {value}/{total}`, hideCursor: true, clearOnComplete: true },
      Presets.shades_classic,
    );
    const isShown = process.stderr.isTTY;
    let done = 0;
    if (isShown) bar.start(total, 0);
    return {
      tick(count = 1) {
        done += count;
        if (isShown) bar.update(done);
      },
      end() {
        if (isShown) bar.stop();
        const seconds = (performance.now() - began) / 1000;
        const rate = Math.round(done / seconds).toLocaleString('en-US');
        const time = seconds.toFixed(1).padStart(6);
        const count = done.toLocaleString('en-US').padStart(7);
        console.log(`${name} ${count} in ${time} s ${rate.padStart(8)}/s`);
      },
    };
  },
};

export const silentProgress: Progress = { step: () => ({ tick() {}, end() {} }) };
