/** Flash's own programs in real processes, as npm runs them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { onTestFinished } from 'vitest';
import { variables } from '../../src/config.ts';

export type Program = {
  child: ChildProcess;
  output: () => string;
  /** The exit code, null when a signal ended it. */
  closed: Promise<number | null>;
};

/** What a developer has set must not leak in: an empty value hides the .env file's as well. */
const BLANK = Object.fromEntries(variables.map((name) => [name, '']));

type Launch = { env: Record<string, string>; args?: string[] };

/** For a test: what it leaves running ends with it. */
export function runProgram(file: string, options: Launch): Program {
  const program = launch(file, options);
  // A test that fails half way must not leave its servers to the next one.
  onTestFinished(async () => {
    program.child.kill('SIGTERM');
    await program.closed;
  });
  return program;
}

/** For several tests: whoever starts it ends it. */
export function launch(file: string, options: Launch): Program {
  const child = spawn(process.execPath, ['--import', 'tsx', file, ...(options.args ?? [])], {
    env: { ...process.env, ...BLANK, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += data;
    });
  }
  const closed = once(child, 'close').then(([code]) => code as number | null);
  return { child, output: () => output, closed };
}

export const isRunning = ({ child }: Program): boolean =>
  child.exitCode === null && child.signalCode === null;

/** Waits until the program has said so; fails with all that it said when it ends before. */
export async function waitFor(program: Program, said: RegExp): Promise<void> {
  const ended = program.closed.then(() => {
    throw new Error(`the program ended:\n${program.output()}`);
  });
  ended.catch(() => {}); // later, when it is to end
  while (!said.test(program.output())) {
    await Promise.race([once(program.child.stdout ?? program.child, 'data'), ended]);
  }
}

export async function end(program: Program, signal: NodeJS.Signals): Promise<number | null> {
  program.child.kill(signal);
  return program.closed;
}

export type DevProcess = Program & {
  origin: string;
  rootKey: string;
  sandboxKey: string;
};

/** `npm start`: resolves when the banner is there. */
export async function startDev(env: Record<string, string>): Promise<DevProcess> {
  const program = runProgram('src/dev.ts', { env });
  await waitFor(program, /Ctrl-C stops/);
  const said = (label: string) => new RegExp(`${label} +(\\S+)`).exec(program.output())?.[1] ?? '';
  return {
    ...program,
    origin: new URL(said('API')).origin,
    rootKey: said('Root key'),
    sandboxKey: said('Sandbox key'),
  };
}
