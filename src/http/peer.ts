import type { FastifyRequest } from 'fastify';

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;
const FORWARDING = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'] as const;

export const isLoopback = (address: string | undefined): boolean => LOOPBACK.test(address ?? '');

/**
 * Whether somebody on this machine asks, and for himself: the peer is the socket's own, never what
 * a header says, and a proxy that runs here is a loopback peer which speaks for others.
 */
export function isFromThisMachine({ socket, headers }: FastifyRequest): boolean {
  return (
    isLoopback(socket.remoteAddress) && FORWARDING.every((name) => headers[name] === undefined)
  );
}
