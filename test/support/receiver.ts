/** Somebody else's server, which is told of events: it answers as a test says. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook as Verifier } from 'svix';
import { atEndOfFile } from './end-of-file.ts';

export type Received = {
  id: string;
  type: string;
  memberId: string | null;
  data: Record<string, unknown>;
  /** Which request of this server it was, from 0. */
  nth: number;
  headers: Record<string, string>;
  body: string;
  /** What it was answered with. */
  status: number;
};

/** A status; or to hang up without an answer, or to keep silent for so many milliseconds. */
export type Answer = number | 'hang up' | { after: number; status: number };
export type Receiver = {
  url: string;
  received: Received[];
  /** Those that were answered with 200, in their order. */
  taken(): Received[];
  answer: (message: Received) => Answer;
  /** Most requests that were under way at one time. */
  atOnce: number;
  close(): Promise<void>;
};

export async function startReceiver(answer: Receiver['answer'] = () => 200): Promise<Receiver> {
  let under = 0;
  const server = http.createServer(async (request, response) => {
    under += 1;
    receiver.atOnce = Math.max(receiver.atOnce, under);
    response.on('close', () => {
      under -= 1;
    });
    const body = await textOf(request);
    const headers = request.headers as Record<string, string>;
    const message = { nth: receiver.received.length, headers, body, status: 0, ...parsed(body) };
    receiver.received.push(message);
    const said = receiver.answer(message);
    if (said === 'hang up') return void request.socket.destroy();
    const { after, status } = typeof said === 'number' ? { after: 0, status: said } : said;
    await sleep(after);
    message.status = status;
    response.writeHead(status, status === 302 ? { location: receiver.url } : {}).end('thanks');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/flash`,
    received: [],
    taken: () => receiver.received.filter(({ status }) => status === 200),
    answer,
    atOnce: 0,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close').catch(() => {});
    },
  };
  atEndOfFile(() => receiver.close());
  return receiver;
}

async function textOf(request: http.IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

type Told = Pick<Received, 'id' | 'type' | 'memberId' | 'data'>;
const parsed = (body: string): Told => JSON.parse(body || '{}');

/** Of what it took: each member's events, each once, in the order in which they first came. */
export function firstOfEach(receiver: Receiver): Map<string | null, string[]> {
  const seen = new Set<string>();
  const members = new Map<string | null, string[]>();
  for (const { id, memberId } of receiver.taken()) {
    if (seen.has(id)) continue;
    seen.add(id);
    members.set(memberId, [...(members.get(memberId) ?? []), id]);
  }
  return members;
}

const TOLERANCE_MS = 5 * 60_000;

/** By a library that is not the one which signed; of another time than ours, by the signature. */
export function isSigned(message: Received, secret: string): boolean {
  const verifier = new Verifier(secret);
  const at = new Date(Number(message.headers['webhook-timestamp']) * 1_000);
  if (Math.abs(at.getTime() - Date.now()) > TOLERANCE_MS) {
    const expected = verifier.sign(message.id, at, message.body);
    return message.headers['webhook-signature']?.split(' ').includes(expected) === true;
  }
  try {
    verifier.verify(message.body, message.headers);
    return true;
  } catch {
    return false;
  }
}
