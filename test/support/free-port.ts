import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import process from 'node:process';

// Below those that a system hands out by itself: a program binds its port seconds after it was
// told of it, and meanwhile anybody who listens on port 0 could be given it.
const FIRST = 20_000;
const EACH = 1_000;
const WORKERS = 12;

const worker = Number(process.env.VITEST_POOL_ID ?? 1) % WORKERS;
let next = randomInt(EACH); // another run beside this one begins elsewhere

/** A port of this worker's own that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < EACH; tries++) {
    const port = FIRST + EACH * worker + (next++ % EACH);
    if (await isFree(port)) return port;
  }
  throw new Error('no port is free');
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, '127.0.0.1');
  try {
    await once(probe, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  await new Promise((resolve) => probe.close(resolve));
  return true;
}
