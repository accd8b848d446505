/**
 * Where events may be sent: into the public internet, and not into the network in which the engine
 * stands, whose other servers trust whoever can reach them.
 */
import dns from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { badInput } from '../kernel/errors.ts';

export class ForbiddenAddress extends Error {
  readonly code = 'FORBIDDEN_ADDRESS';
}

/** Resolves a name to all its addresses; a test brings its own name server. */
export type Resolve = typeof dns.lookup;

export type Reach = { allowPrivate: boolean; resolve?: Resolve };

const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** An IPv4 address within IPv6 is judged as what it is; the other old ways to hide one are not. */
function isPublic(text: string): boolean {
  const address = ipaddr.process(text);
  const isGlobal = address.kind() === 'ipv4' || address.match(GLOBAL_IPV6);
  return isGlobal && address.range() === 'unicast';
}

/** The host of a URL, an IPv6 address without its brackets. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, '$1');

/** Whether the host is written as an address, and that may not be sent to. A name is looked up. */
export const isForbiddenLiteral = (url: URL, { allowPrivate }: Reach): boolean =>
  !allowPrivate && isIP(hostOf(url)) !== 0 && !isPublic(hostOf(url));

/**
 * For a connection that is about to be made: it goes to an address that was judged here, so a name
 * that stands for another address a moment later changes nothing. One that is private among several
 * is enough to refuse them all.
 */
export function judgedLookup({ allowPrivate, resolve = dns.lookup }: Reach): LookupFunction {
  return (...[hostname, options, callback]) =>
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '');
      if (!allowPrivate && !addresses.every(({ address }) => isPublic(address)))
        return callback(new ForbiddenAddress('no public address'), '');
      const [first] = addresses;
      if (options.all) return callback(null, addresses);
      return callback(null, first?.address ?? '', first?.family);
    });
}

/**
 * For whoever registers an endpoint. A name that cannot be looked up just now is taken: it is
 * judged again whenever something is sent.
 */
export async function checkReachable(url: URL, reach: Reach): Promise<void> {
  const refusal = badInput('input.url', 'a host with public addresses only');
  if (isForbiddenLiteral(url, reach)) throw refusal;
  const error = await new Promise<Error | null>((resolve) =>
    judgedLookup(reach)(hostOf(url), { all: true }, resolve),
  );
  if (error instanceof ForbiddenAddress) throw refusal;
}
