/** What a process without an API shows of itself: whether it is well, and its numbers. */
import Fastify, { type FastifyInstance } from 'fastify';
import type { Deps } from '../deps.ts';
import { webhookMetrics } from '../webhooks/index.ts';
import { registerHealth } from './health.ts';
import { registerMetrics } from './metrics.ts';

/** Not yet listening. */
export async function buildMetricsServer(deps: Deps): Promise<FastifyInstance> {
  const app = Fastify({ logger: false, forceCloseConnections: true });
  webhookMetrics(deps);
  registerHealth(app, deps);
  registerMetrics(app, deps);
  return app;
}
