/** A language model's server: real HTTP, and whatever a test lets it answer. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { AdvisorModel } from '../../src/config.ts';
import { atEndOfFile } from './end-of-file.ts';

export type Asked = { path: string; headers: IncomingMessage['headers']; body: string };
export type Answering = (response: ServerResponse, asked: Asked) => void;

export type ModelServer = {
  model: AdvisorModel;
  patienceMs: number;
  /** Every request so far, the latest last. */
  asked: Asked[];
  /** From now on. */
  answers(answering: Answering): void;
};

export const MODEL_KEY = 'sk-model-key-that-nobody-may-see';

/** `patienceMs`: generous, but where a test is about being late. */
export async function aModelServer(of: { patienceMs?: number } = {}): Promise<ModelServer> {
  const asked: Asked[] = [];
  let answering: Answering = (response) => response.writeHead(404).end();
  const server = createServer(async (request, response) => {
    response.on('error', () => {}); // a client that has had enough hangs up
    const one = {
      path: request.url ?? '',
      headers: request.headers,
      body: await text(request).catch(() => ''),
    };
    asked.push(one);
    answering(response, one);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEndOfFile(async () => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/v1`;
  return {
    model: { url, model: 'small', key: MODEL_KEY },
    patienceMs: of.patienceMs ?? 20_000,
    asked,
    answers: (next) => {
      answering = next;
    },
  };
}

/** A body that is what such servers send, with this as the model's words. */
export const completion = (content: unknown): string =>
  JSON.stringify({
    id: 'c-1',
    object: 'chat.completion',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content } }],
    usage: { prompt_tokens: 1_000, completion_tokens: 500 },
  });

export const json =
  (body: string, status = 200): Answering =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);

/** The model says this, as JSON. */
export const says = (answer: unknown): Answering => json(completion(JSON.stringify(answer)));
