/** `npm run demo`: a real shop's first orders, each with its own code. */
import process from 'node:process';
import { SetupError } from '../../src/kernel/setup-error.ts';
import { runToEnd } from '../../src/lifecycle.ts';
import { connect } from './api.ts';
import { readPurchases } from './cdnow.ts';
import { HELP, type Place, readOptions } from './options.ts';
import { terminalProgress } from './progress.ts';
import { checkAnswers, checkDatabase, expectedOf, summary } from './report.ts';
import { type Plan, planOf, play } from './scenario.ts';
import { startServers } from './servers.ts';

async function main(): Promise<number> {
  const wanted = readOptions(process.argv.slice(2), process.env);
  if (wanted === 'help') {
    console.log(HELP);
    return 0;
  }
  const plan = planOf(await readPurchases(), wanted);
  return wanted.place ? run(plan, wanted.place) : runAlone(plan, wanted.home);
}

/** With servers of its own, which end with it, also when it is interrupted. */
async function runAlone(plan: Plan, home: string): Promise<number> {
  const interrupted = interruption();
  // Whoever reads the output may go away, as `head` does; the servers must still be stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const servers = await startServers(home);
  console.log(`${servers.how}; API on ${servers.url}\n`);
  try {
    return await Promise.race([run(plan, servers), interrupted]);
  } finally {
    await servers.stop();
  }
}

function interruption(): Promise<never> {
  const interrupted = new Promise<never>((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => reject(new SetupError('interrupted')));
  });
  interrupted.catch(() => {}); // it may come before anyone waits for it
  return interrupted;
}

async function run(plan: Plan, { url, rootKey, databaseUrl }: Place): Promise<number> {
  const began = performance.now();
  const root = connect(url, rootKey);
  try {
    const played = await play(root, { plan, progress: terminalProgress });
    console.log(['', ...summary(plan, played), ''].join('\n'));
    const expected = expectedOf(plan);
    const { programId } = played;
    const wrong = [
      ...checkAnswers(expected, played),
      ...(databaseUrl ? await checkDatabase(expected, { databaseUrl, programId }) : []),
    ];
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(verdict({ wrong, bySql: databaseUrl !== undefined, seconds }));
    return wrong.length === 0 ? 0 : 1;
  } finally {
    root.close();
  }
}

function verdict(of: { wrong: string[]; bySql: boolean; seconds: string }): string {
  if (of.wrong.length > 0) return ['It does not agree with the file:', ...of.wrong].join('\n  ');
  const how = of.bySql
    ? 'By SQL every order agrees with the file to the cent, and so do the totals.'
    : 'What the API answered agrees with the file to the cent. SQL was not asked: that needs ' +
      '--database-url.';
  return `${how}\n${of.seconds} s in all.`;
}

await runToEnd(main);
