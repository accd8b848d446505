import type { FastifyInstance } from 'fastify';
import type { Deps } from '../deps.ts';

/** /health/live: the process answers. /health/ready: so do its database and its Redis; else 503. */
export function registerHealth(app: FastifyInstance, deps: Deps): void {
  app.get('/health/live', async () => ({ live: true }));
  app.get('/health/ready', async (_request, reply) => {
    const [database, redis] = await Promise.all([
      answers(deps.db.$queryRaw`SELECT 1 AS one`),
      answers(deps.redis.ping()),
    ]);
    const ready = database && redis;
    return reply.code(ready ? 200 : 503).send({ ready, database, redis });
  });
}

const answers = (question: Promise<unknown>): Promise<boolean> =>
  question.then(
    () => true,
    () => false,
  );
