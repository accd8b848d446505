/**
 * Where events may be sent: into the public internet, and not into the network in which the engine
 * stands, whose other servers trust whoever can reach them.
 */
import dns, { type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { badInput } from '../kernel/errors.ts';

export class ForbiddenAddress extends Error {
  readonly code = 'FORBIDDEN_ADDRESS';
}

/** Resolves a name to all its addresses, at least one; a test brings its own name server. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>;

export type Reach = { allowPrivate: boolean; resolve?: Resolve };

const ANSWER_MS = 2_000;
const LOOKUP_MS = 5_000;

/**
 * Asks the name servers itself. A look-up by the system takes one of the four threads that
 * everything in the process shares, for as long as a stranger's name server cares to keep silent.
 */
export function byNameServers(of: { servers?: string[]; patienceMs?: number } = {}): Resolve {
  return async (hostname) => {
    const resolver = new dns.promises.Resolver({ timeout: ANSWER_MS, tries: 2 });
    if (of.servers) resolver.setServers(of.servers);
    const timer = setTimeout(() => resolver.cancel(), of.patienceMs ?? LOOKUP_MS);
    const [four, six] = await Promise.allSettled([
      resolver.resolve4(hostname),
      resolver.resolve6(hostname),
    ]);
    clearTimeout(timer);
    const found = [four, six].flatMap((answer) => ('value' in answer ? answer.value : []));
    if (found.length === 0)
      throw four.status === 'rejected' ? four.reason : new Error('no address');
    return found.map((address) => ({ address, family: isIP(address) }));
  };
}

/** As everything else of this machine does, its own list of names included. */
const bySystem: Resolve = (hostname) => dns.promises.lookup(hostname, { all: true });

/** Who lets events into his own network has names there that no name server knows. */
const resolverOf = ({ allowPrivate, resolve }: Reach): Resolve =>
  resolve ?? (allowPrivate ? bySystem : byNameServers());

const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** An IPv4 address within IPv6 is judged as what it is; the other old ways to hide one are not. */
function isPublic(text: string): boolean {
  const address = ipaddr.process(text);
  const isGlobal = address.kind() === 'ipv4' || address.match(GLOBAL_IPV6);
  return isGlobal && address.range() === 'unicast';
}

/** The host of a URL, an IPv6 address without its brackets. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, '$1');

/** Names that mean this machine, whatever a name server says. */
const LOCAL_NAME = /(^|\.)localhost\.?$/i;

/** Whether it may not be sent to, as the host is written. Any other name is looked up. */
export function isForbiddenHost(url: URL, { allowPrivate }: Reach): boolean {
  const host = hostOf(url);
  return !allowPrivate && (isIP(host) === 0 ? LOCAL_NAME.test(host) : !isPublic(host));
}

/**
 * For a connection that is about to be made: it goes to an address that was judged here, so a name
 * that stands for another address a moment later changes nothing. One that is private among several
 * is enough to refuse them all.
 */
export function judgedLookup(reach: Reach): LookupFunction {
  const resolve = resolverOf(reach);
  return (...[hostname, options, callback]) => {
    resolve(hostname).then(
      (addresses) => {
        if (!reach.allowPrivate && !addresses.every(({ address }) => isPublic(address)))
          return callback(new ForbiddenAddress('no public address'), '');
        const [first] = addresses;
        if (options.all) return callback(null, addresses);
        return callback(null, first?.address ?? '', first?.family);
      },
      (error) => callback(error, ''),
    );
  };
}

/**
 * For whoever registers an endpoint. A name that cannot be looked up just now is taken: it is
 * judged again whenever something is sent.
 */
export async function checkReachable(url: URL, reach: Reach): Promise<void> {
  const refusal = badInput('input.url', 'a host with public addresses only');
  if (isForbiddenHost(url, reach)) throw refusal;
  if (isIP(hostOf(url)) !== 0) return; // judged as it is written, and no name to look up
  const error = await new Promise<Error | null>((resolve) =>
    judgedLookup(reach)(hostOf(url), { all: true }, resolve),
  );
  if (error instanceof ForbiddenAddress) throw refusal;
}
