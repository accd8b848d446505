/** One message by HTTP: within its time, to a judged address, wherever the answer would lead. */
import http from 'node:http';
import https from 'node:https';
import { ForbiddenAddress, isForbiddenLiteral, judgedLookup, type Reach } from './addresses.ts';
import type { Outcome } from './types.ts';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;

export type Post = { url: URL; headers: Record<string, string>; body: string };

/** Keeps connections open between messages, and closes them in the end. */
export type Sender = { send(post: Post): Promise<Outcome>; close(): void };

export function openSender(reach: Reach & Patience): Sender {
  const agents = {
    'http:': new http.Agent({ keepAlive: true }),
    'https:': new https.Agent({ keepAlive: true }),
  };
  const lookup = judgedLookup(reach);
  const send = async (post: Post): Promise<Outcome> => {
    if (isForbiddenLiteral(post.url, reach)) return 'forbidden';
    const agent = agents[post.url.protocol as keyof typeof agents];
    try {
      const ask = (signal: AbortSignal) => request({ ...post, agent, lookup, signal });
      const status = await withinTime(reach, ask);
      return status >= 200 && status < 300 ? 'delivered' : 'refused';
    } catch (error) {
      if (error instanceof ForbiddenAddress) return 'forbidden';
      return reach.signal.aborted ? 'stopped' : 'unreachable';
    }
  };
  return { send, close: () => Object.values(agents).forEach((agent) => void agent.destroy()) };
}

type Patience = { signal: AbortSignal; timeoutMs?: number };

/** Ended when its time is over, or when the process is stopping. */
async function withinTime<T>(
  { signal, timeoutMs = TIMEOUT_MS }: Patience,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const ending = new AbortController();
  const end = () => ending.abort();
  const timer = setTimeout(end, timeoutMs);
  signal.addEventListener('abort', end);
  try {
    return await ask(ending.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

type Request = Post & { agent: http.Agent; lookup: http.RequestOptions['lookup'] } & {
  signal: AbortSignal;
};

/** The status of the answer; of its body no more is read than keeps the connection usable. */
async function request(asked: Request): Promise<number> {
  const { url, body, ...options } = asked;
  const { request: begin } = url.protocol === 'https:' ? https : http;
  for (;;) {
    const sent = begin(url, { ...options, method: 'POST', maxHeaderSize: MAX_HEADER_BYTES });
    try {
      return await statusOf(sent.end(body));
    } catch (error) {
      // The other side had closed a connection that was kept open: it has not seen the message.
      const isStale = sent.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
      if (!isStale || asked.signal.aborted) throw error;
    }
  }
}

function statusOf(sent: http.ClientRequest): Promise<number> {
  return new Promise((resolve, reject) => {
    sent.on('error', reject);
    sent.on('close', () => reject(new Error('closed without an answer')));
    sent.on('response', (answer) => {
      // The status has come: from here on the connection may break off, or its time be over.
      sent
        .removeAllListeners('error')
        .removeAllListeners('close')
        .on('error', () => {});
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES) answer.destroy();
      });
      answer.on('error', () => {});
      answer.on('close', () => resolve(answer.statusCode ?? 0));
    });
  });
}
