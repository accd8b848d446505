/** How each process starts and ends: what was started is stopped in reverse, whatever happens. */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError } from './kernel/log.ts';
import { SetupError } from './kernel/setup-error.ts';

/** Tells how to stop what has just been started. */
export type OnStop = (what: string, stop: () => Promise<unknown>) => void;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const PATIENCE_MS = 20_000;

/**
 * Runs `start` and stays up until a signal comes. A signal during the start is obeyed as soon as
 * the step that is under way has told how to stop it, so nothing is left half started; a second
 * signal changes nothing, because npm passes Ctrl-C on and one press arrives twice.
 */
export async function runProcess(start: (onStop: OnStop) => Promise<void>): Promise<void> {
  const running: { what: string; stop: () => Promise<unknown> }[] = [];
  const signal = endOfProcess();
  let exitCode = 0;
  try {
    await start((what, stop) => {
      running.push({ what, stop });
      if (signal.came()) throw new Interrupted();
    });
    await signal.ended;
  } catch (error) {
    if (!(error instanceof Interrupted)) {
      exitCode = 1;
      report(error);
    }
  }
  if (exitCode === 0 && process.stderr.isTTY) console.error('Stopping ...');
  for (const { what, stop } of running.reverse()) {
    if (!(await stopInTime(what, stop))) exitCode = 1;
  }
  process.exit(exitCode);
}

class Interrupted extends Error {}

/** For a command that ends by itself; its result is the exit code. */
export async function runToEnd(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    report(error);
    process.exitCode = 1;
  }
}

/** `ended` resolves on a signal, and rejects on an error that nobody caught. */
function endOfProcess(): { ended: Promise<void>; came: () => boolean } {
  // A terminal that was closed must not keep the servers from being stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  let hasCome = false;
  const ended = new Promise<void>((resolve, reject) => {
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        hasCome = true;
        resolve();
      });
    }
    process.on('uncaughtException', reject);
    process.on('unhandledRejection', reject);
  });
  ended.catch(() => {}); // it may come before anyone waits for it
  return { ended, came: () => hasCome };
}

async function stopInTime(what: string, stop: () => Promise<unknown>): Promise<boolean> {
  const tooLate = sleep(PATIENCE_MS, undefined, { ref: false }).then(() => {
    throw new SetupError(`${what} did not stop in time`);
  });
  try {
    await Promise.race([stop(), tooLate]);
    return true;
  } catch (error) {
    report(error);
    return false;
  }
}

/** What somebody can put right is a sentence; a fault of the program comes with its stack. */
function report(error: unknown): void {
  const isTheirs = error instanceof SetupError || isSystemError(error);
  console.error(isTheirs ? (error as Error).message : describeError(error));
}

const isSystemError = (error: unknown): boolean =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';
