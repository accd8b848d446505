import { createHash } from 'node:crypto';
import type { Random } from '../../src/kernel/crypto.ts';

/** Bytes that look random and are the same for the same seed: SHA-256 of a counter. */
export function seededRandom(seed: number): Random {
  let counter = 0;
  const block = () => createHash('sha256').update(`${seed}/${counter++}`).digest();
  return {
    bytes: (count) => {
      const blocks = Array.from({ length: Math.ceil(count / 32) }, block);
      return Buffer.concat(blocks, count);
    },
  };
}
