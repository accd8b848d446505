/** GET /graphql: GraphiQL with a walk through the API, served without a request to anybody else. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { authenticate } from '../programs/index.ts';
import { isFromThisMachine } from './peer.ts';

const DIST = fileURLToPath(new URL('../../web/playground/dist/', import.meta.url));
const SLOT = '<script type="application/json" id="page">{}</script>';

// The editor writes its colours into style elements, and its fonts and icons are data: URLs.
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "connect-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self' data:",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const PROTECTION = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** What the page is given; web/playground/page.ts reads it. */
type Page = { key?: string; values?: { poolId?: string; memberId?: string } };

type Served = { deps: Deps; wsHandler: NonNullable<RouteOptions['wsHandler']> };

/** Who asks for a WebSocket instead of the page is given to `wsHandler`. */
export async function registerPlayground(
  app: FastifyInstance,
  { deps, wsHandler }: Served,
): Promise<void> {
  const route = { method: 'GET', url: '/graphql', wsHandler } as const;
  const template = await readTemplate();
  if (template === undefined) {
    app.route({ ...route, handler: (_request, reply) => tellHowToBuild(reply) });
    return;
  }
  await app.register(fastifyStatic, {
    root: DIST,
    prefix: '/playground/',
    index: false,
    // One route for each file there is now, so that no path can be made to mean another file; and
    // none for the page itself, which is only served filled in and never from a cache.
    wildcard: false,
    globIgnore: ['index.html'],
    // Every name carries the hash of what it names.
    maxAge: '1y',
    immutable: true,
    setHeaders: (reply) => void reply.headers(PROTECTION),
  });
  app.route({
    ...route,
    handler: async (request, reply) => {
      const page = await pageFor(deps, request);
      return reply
        .headers({ ...PROTECTION, 'cache-control': 'no-store' })
        .type('text/html; charset=utf-8')
        .send(renderPage(template, page));
    },
  });
}

async function readTemplate(): Promise<string | undefined> {
  try {
    return await readFile(`${DIST}index.html`, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function tellHowToBuild(reply: FastifyReply) {
  return reply
    .code(404)
    .headers(PROTECTION)
    .type('text/plain; charset=utf-8')
    .send('The playground has not been built: run `node scripts/ensure.mjs`, then start again.\n');
}

/** Without `<` there is neither an end of the script element nor a comment in it. */
export function renderPage(template: string, page: Page): string {
  const json = JSON.stringify(page).replaceAll('<', '\\u003c');
  return template.replace(SLOT, () => SLOT.replace('{}', () => json));
}

/**
 * With its key only for who started the embedded servers, looking at them from the same machine.
 * The Host header tells a page of a stranger's site, whose name was made to point here, from ours.
 */
async function pageFor(deps: Deps, request: FastifyRequest): Promise<Page> {
  const { embedded, sandboxKey } = deps.config;
  if (!embedded || sandboxKey === undefined) return {};
  if (!isFromThisMachine(request) || !isLocalName(request.headers.host)) return {};
  try {
    const caller = await authenticate(deps, `Bearer ${sandboxKey}`);
    if (caller.kind !== 'key') return {};
    return { key: sandboxKey, values: await valuesOf(deps, caller.programId) };
  } catch (error) {
    // A key that has been revoked, or a database that is away: the page opens all the same.
    deps.log.warn({ err: error }, 'the playground opens without a key');
    return {};
  }
}

/** Of a Host header, with any port: only what cannot be made to point anywhere else. */
export const isLocalName = (host: string | undefined): boolean =>
  /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i.test(host ?? '');

/** The oldest pool that issues and the oldest member: of a new sandbox, those it came with. */
async function valuesOf(deps: Deps, programId: ProgramId): Promise<Page['values']> {
  const oldest = { orderBy: { id: 'asc' }, take: 1, select: { id: true } } as const;
  const program = await deps.db.program.findUniqueOrThrow({
    where: { id: programId },
    select: { pools: { where: { status: 'ACTIVE' }, ...oldest }, members: oldest },
  });
  const poolId = program.pools[0]?.id;
  const memberId = program.members[0]?.id;
  return { ...(poolId && { poolId }), ...(memberId && { memberId }) };
}
