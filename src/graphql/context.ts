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
  /** Whether the client has hung up. */
  isGone(): boolean;
  loaders: Loaders;
  live: LiveFeeds;
  /** Whom it was about, as far as the input or the answer named them: for the log. */
  members: Set<string>;
};

const contexts = new WeakMap<FastifyRequest, Context>();

/** UNAUTHENTICATED for a credential that is missing, malformed, unknown or no longer in force. */
export async function makeContext(
  { deps, live }: Pick<Context, 'deps' | 'live'>,
  request: FastifyRequest,
): Promise<Context> {
  const caller = await authenticate(deps, request.headers.authorization);
  const loaders = makeLoaders(deps, caller);
  const { ip: address, id: requestId } = request;
  const members = new Set<string>(caller.kind === 'member' ? [caller.memberId] : []);
  const isGone = () => request.raw.socket.destroyed;
  const context = { deps, caller, address, requestId, isGone, loaders, live, members };
  contexts.set(request, context);
  return context;
}

/** Undefined for a request that is none of GraphQL's, or was not admitted. */
export const contextOf = (request: FastifyRequest): Context | undefined => contexts.get(request);

/** Who asked, and about whom: ids of ours, and nothing else. */
export function idsFor(request: FastifyRequest): Record<string, unknown> {
  const context = contextOf(request);
  if (!context) return {};
  const { caller, members } = context;
  return { ...idsOf(caller), ...(members.size > 0 && { members: [...members] }) };
}

/** Which program, and which of its keys. */
export const idsOf = (caller: Caller): Record<string, unknown> => ({
  ...(caller.kind !== 'root' && { programId: caller.programId }),
  ...(caller.kind === 'key' && { keyId: caller.keyId }),
});
