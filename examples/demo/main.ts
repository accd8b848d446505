/** `npm run demo`: a real shop's customers, with a code each and points for what they buy. */
import process from 'node:process';
import { SetupError } from '../../src/kernel/setup-error.ts';
import { runToEnd } from '../../src/lifecycle.ts';
import { connect } from './api.ts';
import { readPurchases } from './cdnow.ts';
import { checkAnswers, checkDatabase, expectedOf } from './coupons-check.ts';
import { expectPoints } from './expected-points.ts';
import { ladderTable, readLadder } from './ladder.ts';
import { HELP, type Place, readOptions } from './options.ts';
import { type Plan, planOf } from './plan.ts';
import { checkLedgers, checkPoints } from './points-check.ts';
import { terminalProgress } from './progress.ts';
import { type Played, play } from './scenario.ts';
import { startServers } from './servers.ts';
import type { Where } from './sql.ts';
import { summary } from './summary.ts';

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
    const where =
      databaseUrl === undefined ? undefined : { databaseUrl, programId: played.programId };
    console.log(['', ...summary(plan, played), ''].join('\n'));
    if (where) console.log([...ladderTable(await readLadder(plan, where)), ''].join('\n'));
    console.log('Comparing all of it with the file.');
    const wrong = await differencesOf(plan, { played, where });
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(verdict({ wrong, bySql: where !== undefined, seconds }));
    return wrong.length === 0 ? 0 : 1;
  } finally {
    root.close();
  }
}

type Outcome = { played: Played; where: Where | undefined };

/** What the API answered against the file, and then the same of the database, where it is known. */
async function differencesOf(plan: Plan, { played, where }: Outcome): Promise<string[]> {
  const coupons = expectedOf(plan);
  const ledgers = expectPoints(plan);
  const answered = [...checkAnswers(coupons, played), ...checkPoints(ledgers, played)];
  if (!where) return answered;
  return [
    ...answered,
    ...(await checkDatabase(coupons, where)),
    ...(await checkLedgers(ledgers, where)),
  ];
}

function verdict(of: { wrong: string[]; bySql: boolean; seconds: string }): string {
  if (of.wrong.length > 0) return ['It does not agree with the file:', ...of.wrong].join('\n  ');
  const how = of.bySql
    ? 'By SQL every order agrees with the file to the cent, every member to the point, and so\n' +
      'do the totals. reconcile found nothing.'
    : 'What the API answered agrees with the file, to the cent and to the point. SQL was not\n' +
      'asked: that needs --database-url.';
  return `${how}\n${of.seconds} s in all.`;
}

await runToEnd(main);
