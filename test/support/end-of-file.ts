/**
 * What a test file opens is closed when the file has ended. The files of one worker share their
 * modules, so a hook at the top of a module would run for the first of them only: each-file.ts
 * has the hooks.
 */
type Close = () => Promise<unknown>;

const open: Close[] = [];

/** `close` runs when this file has ended, before what was opened earlier is closed. */
export function atEndOfFile(close: Close): void {
  open.push(close);
}

/** Closes everything, whatever one of them throws; the first error is thrown at the end. */
export async function closeAll(): Promise<void> {
  const errors: unknown[] = [];
  for (const close of open.splice(0).reverse())
    await close().catch((error: unknown) => errors.push(error));
  if (errors.length > 0) throw errors[0];
}
