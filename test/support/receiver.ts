/** Somebody else's server, which is told of events: it answers as a test says. */

import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
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
  /** By TLS: the name by which it was asked for. */
  servername: TLSSocket['servername'] | undefined;
};

/** A status; or to hang up without an answer, or to keep silent for so many milliseconds. */
export type Answer =
  | number
  | 'hang up'
  | { after?: number; status: number; headers?: Record<string, string> };
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

/** By https with a certificate and its key. */
export async function startReceiver(
  answer: Receiver['answer'] = () => 200,
  tls?: { cert: string; key: string },
): Promise<Receiver> {
  let under = 0;
  const work: http.RequestListener = async (request, response) => {
    under += 1;
    receiver.atOnce = Math.max(receiver.atOnce, under);
    response.on('close', () => {
      under -= 1;
    });
    const body = await textOf(request);
    const headers = request.headers as Record<string, string>;
    const { servername } = request.socket as Partial<Pick<TLSSocket, 'servername'>>;
    const nth = receiver.received.length;
    const message = { nth, headers, body, status: 0, servername, ...parsed(body) };
    receiver.received.push(message);
    const said = receiver.answer(message);
    if (said === 'hang up') return void request.socket.destroy();
    const { after = 0, status, headers: more } = typeof said === 'number' ? { status: said } : said;
    await sleep(after);
    message.status = status;
    const where = status === 302 ? { location: receiver.url } : {};
    response.writeHead(status, { ...where, ...more }).end('thanks');
  };
  const server = tls ? https.createServer(tls, work) : http.createServer(work);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const receiver: Receiver = {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}/flash`,
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

/** After the specification, without a library. */
function expectedSignature({ id, headers, body }: Received, secret: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const text = `${id}.${headers['webhook-timestamp']}.${body}`;
  return `v1,${createHmac('sha256', key).update(text).digest('base64')}`;
}

/**
 * As the specification has it, and by a library that is not the one which signed; of another time
 * than ours, by the signature.
 */
export function isSigned(message: Received, secret: string): boolean {
  const signatures = message.headers['webhook-signature']?.split(' ') ?? [];
  if (!signatures.includes(expectedSignature(message, secret))) return false;
  const verifier = new Verifier(secret);
  const at = new Date(Number(message.headers['webhook-timestamp']) * 1_000);
  if (Math.abs(at.getTime() - Date.now()) > TOLERANCE_MS) {
    const expected = verifier.sign(message.id, at, message.body);
    return signatures.includes(expected);
  }
  try {
    verifier.verify(message.body, message.headers);
    return true;
  } catch {
    return false;
  }
}
