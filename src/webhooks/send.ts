/** One message by HTTP: within its time, to a judged address, wherever the answer would lead. */
import http from 'node:http';
import https from 'node:https';
import { ForbiddenAddress, isForbiddenHost, judgedLookup, type Reach } from './addresses.ts';
import type { Outcome } from './types.ts';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;

export type Post = { url: URL; headers: Record<string, string>; body: string };

/** What came of it, and for how long the other side asked to be left alone, in its own words. */
export type Sent = { outcome: Outcome; retryAfter?: string | undefined };

/** Keeps connections open between messages, and closes them in the end. */
export type Sender = { send(post: Post): Promise<Sent>; close(): void };

/** `ca`: whom to trust instead of the public authorities; a test has its own. */
export function openSender({ ca, ...reach }: Reach & Patience & { ca?: string }): Sender {
  const agents = {
    'http:': new http.Agent({ keepAlive: true }),
    'https:': new https.Agent({ keepAlive: true, ...(ca && { ca }) }),
  };
  const lookup = judgedLookup(reach);
  const send = async (post: Post): Promise<Sent> => {
    if (isForbiddenHost(post.url, reach)) return { outcome: 'forbidden' };
    const agent = agents[post.url.protocol as keyof typeof agents];
    try {
      const ask = (signal: AbortSignal) => request({ ...post, agent, lookup, signal });
      return judged(await withinTime(reach, ask));
    } catch (error) {
      if (error instanceof ForbiddenAddress) return { outcome: 'forbidden' };
      return { outcome: reach.signal.aborted ? 'stopped' : 'unreachable' };
    }
  };
  return { send, close: () => Object.values(agents).forEach((agent) => void agent.destroy()) };
}

const GONE = 410;

function judged({ statusCode = 0, headers }: http.IncomingMessage): Sent {
  if (statusCode >= 200 && statusCode < 300) return { outcome: 'delivered' };
  if (statusCode === GONE) return { outcome: 'gone' };
  return { outcome: 'refused', retryAfter: headers['retry-after'] };
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

/** The answer; of its body no more is read than keeps the connection usable. */
async function request(asked: Request): Promise<http.IncomingMessage> {
  const { url, body, ...options } = asked;
  const { request: begin } = url.protocol === 'https:' ? https : http;
  for (;;) {
    const sent = begin(url, { ...options, method: 'POST', maxHeaderSize: MAX_HEADER_BYTES });
    try {
      return await answerTo(sent.end(body));
    } catch (error) {
      // The other side had closed a connection that was kept open: it has not seen the message.
      const isStale = sent.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
      if (!isStale || asked.signal.aborted) throw error;
    }
  }
}

function answerTo(sent: http.ClientRequest): Promise<http.IncomingMessage> {
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
      answer.on('close', () => resolve(answer));
    });
  });
}
