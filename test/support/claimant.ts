/** A process that asks for each folder it is told of until it has had it, and says how it was. */
import { mkdir, rmdir } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimFolder } from '../../src/embedded/owner.ts';
import { SetupError } from '../../src/kernel/setup-error.ts';

async function claimed(folder: string): Promise<() => Promise<void>> {
  for (;;) {
    try {
      return await claimFolder(folder, 'FLASH_HOME');
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
    }
  }
}

process.on('message', async (folder: string) => {
  const release = await claimed(folder);
  const inside = path.join(folder, 'inside');
  const said = await mkdir(inside).then(
    () => 'alone',
    () => 'not alone',
  );
  await sleep(1);
  await rmdir(inside).catch(() => {});
  await release();
  process.send?.(said);
});
process.once('disconnect', () => process.exit());
