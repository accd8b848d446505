/** Real API processes on one database, and a client of each. */
import { inject } from 'vitest';
import { type Body, post } from './api.ts';
import { testKeys } from './database.ts';
import { freePort } from './free-port.ts';
import { end, isRunning, launch, type Program } from './process.ts';

export type ApiProcess = {
  /** Throws when the answer has errors, or when there is none because the process has died. */
  data(secretKey: string, document: string, variables: unknown): Promise<Body['data']>;
  end(signal: NodeJS.Signals): Promise<number | null>;
};

/** What the commands below answer: one of a refusal, a success of a claim, or of a redemption. */
export type PairAnswer = {
  reason?: string;
  plaintext: string;
  alreadyClaimed: boolean;
  alreadyRedeemed: boolean;
  code: { id: string };
  redemption: { id: string };
  id: string;
};

export type ApiPair = {
  /** A test may replace one that it has ended. */
  processes: ApiProcess[];
  /** Asks the n-th process for `answer`, again while it says to. */
  ask(n: number, document: string, variables: unknown): Promise<PairAnswer>;
  claim(n: number, by: { poolId: string; memberId?: string; email?: string }): Promise<PairAnswer>;
  redeem(n: number, by: { code: string; orderId: string }): Promise<PairAnswer>;
  end(): Promise<void>;
};

const CLAIM = `mutation ($input: ClaimCodeInput!) { answer: claimCode(input: $input) {
  ... on ClaimCodeSuccess { plaintext alreadyClaimed code { id } } ... on Refusal { reason } } }`;
const REDEEM = `mutation ($input: RedeemCodeInput!) { answer: redeemCode(input: $input) {
  ... on RedeemCodeSuccess { alreadyRedeemed redemption { id } } ... on Refusal { reason } } }`;

// Within the time of a beforeAll.
const STARTING_MS = 110_000;

const AGAIN = ['BUSY', 'CAP_TRACKER_UNAVAILABLE'];
const TRIES = 10;

/** Two API processes on one database: the n-th is the one or the other in turn. */
export async function startApiPair(databaseUrl: string, secretKey: string): Promise<ApiPair> {
  const start = () => startApiProcess(databaseUrl);
  const starting = [start(), start()];
  const processes = await Promise.all(starting).catch(async (error) => {
    for (const one of await Promise.allSettled(starting))
      if (one.status === 'fulfilled') await one.value.end('SIGKILL');
    throw error;
  });
  const ask: ApiPair['ask'] = async (n, document, variables) => {
    for (let tries = 0; ; tries++) {
      const process = processes[n % 2] as ApiProcess;
      try {
        const { answer } = await process.data(secretKey, document, variables);
        if (!AGAIN.includes(answer.reason) || tries === TRIES) return answer;
      } catch (error) {
        // One that has died is for the test to know of.
        const isBusy = (error as Error).message.includes('SERVICE_UNAVAILABLE');
        if (!isBusy || tries === TRIES) throw error;
      }
    }
  };
  return {
    processes,
    ask,
    claim: (n, input) => ask(n, CLAIM, { input }),
    redeem: (n, by) => ask(n, REDEEM, { input: { ...by, orderAmount: 10_000 } }),
    end: async () => {
      for (const one of processes) await one.end('SIGTERM');
    },
  };
}

/** How many of each answer there were: a refusal's reason, or whether it was the first success. */
export function tallyOf(answers: PairAnswer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { reason, alreadyClaimed, alreadyRedeemed } of answers) {
    const name = reason ?? (alreadyClaimed || alreadyRedeemed ? 'again' : 'new');
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

export async function startApiProcess(databaseUrl: string): Promise<ApiProcess> {
  const port = await freePort();
  const env = {
    ...testKeys,
    DATABASE_URL: databaseUrl,
    REDIS_URL: inject('redisUrl'),
    PORT: String(port),
    FLASH_LOG_LEVEL: 'silent',
  };
  const program = launch('src/main.ts', { env });
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url, program);
  return {
    data: async (credential, query, variables) => {
      const body = JSON.stringify({ query, variables });
      const answer = await post(url, { credential, body });
      if (answer.body.errors || !answer.body.data) throw new Error(answer.text);
      return answer.body.data;
    },
    end: (signal) => end(program, signal),
  };
}

async function untilReady(url: string, program: Program): Promise<void> {
  const giveUpAt = performance.now() + STARTING_MS;
  while (performance.now() < giveUpAt && isRunning(program)) {
    const response = await fetch(`${url}/health/ready`).catch(() => undefined);
    if (response?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  program.child.kill('SIGKILL');
  throw new Error(`the API did not become ready:\n${program.output()}`);
}
