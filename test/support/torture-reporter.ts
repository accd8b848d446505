import process from 'node:process';
import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node';
import { seed, torture } from './seed.ts';

/** The last lines of a torture run: the rounds of each test that counts them, and the seed. */
export default class TortureReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], _: unknown, reason: TestRunEndReason) {
    if (torture) print(modules);
    if (torture || reason === 'failed')
      process.stdout.write(`\nSeed ${seed}: FLASH_SEED=${seed} repeats the order of events.\n`);
  }
}

function print(modules: readonly TestModule[]) {
  const lines: string[] = [];
  let total = 0;
  for (const module of modules)
    for (const test of module.children.allTests()) {
      const { rounds } = test.meta();
      if (rounds === undefined) continue;
      total += rounds;
      lines.push(`${String(rounds).padStart(8)}  ${test.result().state}  ${test.fullName}`);
    }
  process.stdout.write(`\n  Rounds  (${total} in all)\n${lines.join('\n')}\n`);
}
