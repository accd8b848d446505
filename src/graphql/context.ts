import type { FastifyRequest } from 'fastify';
import type { Deps } from '../deps.ts';
import { authenticate, type Caller } from '../programs/index.ts';
import type { LiveFeeds } from './live.ts';
import { type Loaders, makeLoaders } from './loaders.ts';

/** What every resolver is given. */
export type Context = {
  deps: Deps;
  caller: Caller;
  /** The peer's address, or what a trusted proxy says of it. */
  address: string;
  requestId: string;
  loaders: Loaders;
  live: LiveFeeds;
};

/** UNAUTHENTICATED for a credential that is missing, malformed, unknown or no longer in force. */
export async function makeContext(
  { deps, live }: Pick<Context, 'deps' | 'live'>,
  request: FastifyRequest,
): Promise<Context> {
  const caller = await authenticate(deps, request.headers.authorization);
  const loaders = makeLoaders(deps, caller);
  return { deps, caller, address: request.ip, requestId: request.id, loaders, live };
}
