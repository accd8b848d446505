/** A way to a server that can be cut and mended: for whoever takes it, the server is away. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export type Relay = { url: string; cut(): void; mend(): Promise<void> };

export async function relayTo(serverUrl: string): Promise<Relay> {
  const { hostname, port } = new URL(serverUrl);
  const open = new Set<Socket>();
  const server = createServer((near) => {
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
    server.close();
    for (const socket of open) socket.destroy();
  };
  onTestFinished(cut);
  return {
    url: url.href,
    cut,
    mend: async () => {
      server.listen(here, '127.0.0.1');
      await once(server, 'listening');
    },
  };
}
