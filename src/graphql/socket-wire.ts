/**
 * What carries the protocol of graphql-ws over the sockets of Fastify. The library's own prints
 * errors to the console, where they would be neither a line of the log nor discreet, and waits for
 * every client to say goodbye when the process is to end.
 */
import websocket, { type WebSocket } from '@fastify/websocket';
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import { CloseCode, handleProtocols, makeServer, type ServerOptions } from 'graphql-ws';
import type { Logger } from '../kernel/log.ts';

const MAX_MESSAGE_BYTES = 64 * 1024;
const KEEP_ALIVE_MS = 12_000;
const GOODBYE_MS = 300;
const GOING_AWAY = 1001;

export type Wire = { socket: WebSocket; request: FastifyRequest };
type Params = Record<string, unknown>;

/** Before any route. A message of any size would be held in memory before it is looked at. */
export async function acceptSockets(app: FastifyInstance): Promise<void> {
  await app.register(websocket, {
    options: { maxPayload: MAX_MESSAGE_BYTES, handleProtocols },
    preClose(done) {
      const { clients } = this.websocketServer;
      for (const client of clients) client.close(GOING_AWAY, 'the server is stopping');
      // Whoever does not answer is cut off: a laptop that sleeps would hold the process up.
      const timer = setTimeout(() => {
        for (const client of clients) client.terminate();
      }, GOODBYE_MS);
      this.websocketServer.close(() => {
        clearTimeout(timer);
        done();
      });
    },
  });
}

/** What a GET of /graphql does when it asks for a WebSocket. */
export function overSockets<Extra extends object>(
  options: ServerOptions<Params, Wire & Partial<Extra>>,
  log: Logger,
): NonNullable<RouteOptions['wsHandler']> {
  const server = makeServer<Params, Wire & Partial<Extra>>(options);
  return (socket, request) => {
    const failed = (error: unknown) => {
      log.warn({ err: error, requestId: request.id }, 'a socket failed');
      socket.close(CloseCode.InternalServerError, 'INTERNAL_SERVER_ERROR');
    };
    const closed = server.opened(
      {
        protocol: socket.protocol,
        send: (text) => sent(socket, text),
        close: (code, reason) => socket.close(code, reasonFor(code, reason)),
        onMessage: (listen) => {
          socket.on('message', (message) => void listen(String(message)).catch(failed));
        },
      },
      { socket, request } as Wire & Partial<Extra>,
    );
    const stopAsking = keepAsking(socket);
    socket.once('error', failed);
    socket.once('close', (code, reason) => {
      stopAsking();
      void closed(code, String(reason)).catch(failed);
    });
  };
}

/** Resolves when it has left, so that a client that reads slowly is not sent the next one yet. */
const sent = (socket: WebSocket, text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    if (socket.readyState !== socket.OPEN) return resolve();
    socket.send(text, (error) => (error ? reject(error) : resolve()));
  });

/** The library's own words but for the one that repeats what a client has sent. */
const reasonFor = (code: number | undefined, reason: string | undefined): string | undefined =>
  code === CloseCode.SubscriberAlreadyExists ? 'id: expected one that is not in use' : reason;

/** A connection that has died without a word is found out, and let go. */
function keepAsking(socket: WebSocket): () => void {
  let isThere = true;
  socket.on('pong', () => {
    isThere = true;
  });
  const timer = setInterval(() => {
    if (!isThere) return socket.terminate();
    isThere = false;
    socket.ping();
  }, KEEP_ALIVE_MS);
  timer.unref();
  return () => clearInterval(timer);
}
