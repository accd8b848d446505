/** A way to a server that can be cut and mended: for whoever takes it, the server is away. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export type Relay = { url: string; cut(): void; mend(): void };

export async function relayTo(serverUrl: string): Promise<Relay> {
  const { hostname, port } = new URL(serverUrl);
  const open = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    // It goes on listening: a port that was given up may be another's when it is wanted again.
    if (isCut) return void near.destroy();
    const far = connect(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const here = (server.address() as { port: number }).port;
  const url = new URL(serverUrl);
  url.host = `127.0.0.1:${here}`;
  const cut = () => {
    isCut = true;
    for (const socket of open) socket.destroy();
  };
  onTestFinished(() => {
    server.close();
    cut();
  });
  return {
    url: url.href,
    cut,
    mend: () => {
      isCut = false;
    },
  };
}
