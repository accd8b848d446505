/**
 * How long and with which luck a run goes. Also read by vitest.config.ts, so nothing of Vitest
 * here.
 */
import { randomInt } from 'node:crypto';
import process from 'node:process';

/** `npm run torture`: every race in its full form. */
export const torture = process.env.FLASH_TORTURE === '1';

// Drawn once in the first process; the workers inherit it, so that one number repeats the whole
// run.
process.env.FLASH_SEED ||= String(randomInt(2 ** 31));
export const seed = Number(process.env.FLASH_SEED);
