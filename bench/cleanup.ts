/** What has been started is stopped in reverse order: at the end, after an error, on Ctrl-C. */
import process from 'node:process';

const started: { what: string; stop: () => Promise<unknown> }[] = [];
let ending: Promise<void> | undefined;

export function onEnd(what: string, stop: () => Promise<unknown>): void {
  started.push({ what, stop });
}

/** Once, however often it is asked for: Ctrl-C may arrive twice, and in the middle of the end. */
export function endAll(): Promise<void> {
  ending ??= (async () => {
    for (const { what, stop } of started.reverse())
      await stop().catch((error: Error) => console.error(`${what}: ${error.message}`));
  })();
  return ending;
}

let isInterrupted = false;
/** An error that comes after a signal is only its consequence. */
export const wasInterrupted = (): boolean => isInterrupted;

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export function endOnSignals(): void {
  // A terminal that was closed must not keep the servers from being stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      isInterrupted = true;
      void endAll().then(() => process.exit(code));
    });
  }
}
