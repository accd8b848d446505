import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Counter, Histogram } from 'prom-client';
import type { Deps } from '../deps.ts';
import { sameSecret } from '../kernel/crypto.ts';
import { registeredOnce } from '../kernel/metrics.ts';
import { isFromThisMachine } from './peer.ts';

/**
 * The API's own numbers. Every label is a name of the schema: what a client may choose could be
 * data.
 */
export const apiMetrics = registeredOnce(register);

function register({ metrics }: Pick<Deps, 'metrics'>) {
  const registers = [metrics];
  return {
    operations: new Counter({
      name: 'flash_graphql_operations_total',
      help: 'Root fields asked for, by type of operation',
      labelNames: ['type', 'field'] as const,
      registers,
    }),
    seconds: new Histogram({
      name: 'flash_graphql_request_seconds',
      help: 'Time from a parsed request to its answer, by its only root field, or "several"',
      labelNames: ['type', 'field'] as const,
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    errors: new Counter({
      name: 'flash_graphql_errors_total',
      help: 'Errors in answers, by code',
      labelNames: ['code'] as const,
      registers,
    }),
    refusals: new Counter({
      name: 'flash_refusals_total',
      help: 'Mutations that were refused, by reason',
      labelNames: ['reason'] as const,
      registers,
    }),
  };
}

/** GET /metrics: with FLASH_METRICS_TOKEN as bearer; without one set, for this machine only. */
export function registerMetrics(app: FastifyInstance, deps: Deps): void {
  app.get('/metrics', async (request, reply) => {
    if (!mayRead(deps, request)) return reply.code(403).send({ error: 'not for you' });
    return reply.type(deps.metrics.contentType).send(await deps.metrics.metrics());
  });
}

function mayRead({ config }: Deps, request: FastifyRequest): boolean {
  if (config.metricsToken === undefined) return isFromThisMachine(request);
  const sent = /^bearer +(\S.*)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  return sameSecret(sent.trimEnd(), config.metricsToken);
}
