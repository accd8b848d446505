import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { startTracing } from '../../src/tracing.ts';
import { createWebhook } from '../../src/webhooks/index.ts';
import { runWorker } from '../../src/workers/index.ts';
import { startApi } from '../support/api.ts';
import { testDatabase, testDeps } from '../support/database.ts';
import { startReceiver } from '../support/receiver.ts';
import { aWorld } from '../support/world.ts';

/** A collector: a real server that keeps what is posted to it. */
const bodies: string[] = [];
const collector = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  bodies.push(`${request.url} ${body}`);
  response.setHeader('content-type', 'application/json').end('{}');
});
collector.listen(0, '127.0.0.1');
await once(collector, 'listening');
afterAll(() => void collector.close());
const { port } = collector.address() as AddressInfo;

type Span = {
  name: string;
  spanId: string;
  parentSpanId?: string;
  status: { code?: number };
  attributes: { key: string; value: { stringValue?: string } }[];
};
/** Of a span's status, in OpenTelemetry's numbers. */
const ERROR = 2;

function spans(): Span[] {
  return bodies.flatMap((body) => {
    const sent = JSON.parse(body.slice(body.indexOf(' '))) as {
      resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
    };
    return sent.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((of) => of.spans));
  });
}

test('a request, its shared call and a worker’s run become spans that hold nothing of a client', async () => {
  const databaseUrl = await testDatabase();
  const world = await aWorld(await testDeps({ databaseUrl }));
  const { programId } = world;
  const deps = await testDeps({ databaseUrl, config: { webhookAllowPrivate: true } });
  // Such deps ask the system for the names of hosts, which may take as long as it likes.
  await deps.db.webhook.updateMany({ data: { enabled: false } });
  const api = await startApi(deps);
  const receiver = await startReceiver();
  const endpoint = { url: `${receiver.url}?private-path`, enabled: true };
  const { secret } = await createWebhook(deps, { programId, input: endpoint });
  const stop = startTracing({
    traceUrl: `http://127.0.0.1:${port}`,
    serviceName: 'flash-test',
  });
  const email = 'somebody.private@example.com';
  const claim = `mutation ($pool: ID!, $email: EmailAddress!) {
    claimCode(input: { poolId: $pool, email: $email }) { __typename } }`;
  for (const address of [email, `another.${email}`])
    await api.data(world.secretKey, claim, { pool: world.pool.id, email: address });
  await api.query(world.secretKey, '{ member(externalId: "private-name") { id } }');
  await runWorker(deps, { programId, task: 'EXPIRE_POINTS' });
  receiver.answer = ({ nth }) => (nth === 0 ? 200 : 500);
  while (receiver.received.length < 2)
    await runWorker(deps, { programId, task: 'DELIVER_WEBHOOKS' });
  await stop();

  expect(bodies[0]).toMatch(/^\/v1\/traces /);
  const byName = new Map(spans().map((span) => [span.name, span]));
  expect([...byName.keys()].sort()).toEqual([
    'claim_codes',
    'mutation claimCode',
    'query member',
    'task DELIVER_WEBHOOKS',
    'task EXPIRE_POINTS',
    'webhook delivery',
  ]);
  expect(byName.get('claim_codes')?.parentSpanId).toBe(byName.get('mutation claimCode')?.spanId);
  const deliveries = spans().filter(({ name }) => name === 'webhook delivery');
  const outcomes = deliveries.map(({ status, attributes }) => [
    attributes.find(({ key }) => key === 'outcome')?.value.stringValue,
    status.code === ERROR,
  ]);
  expect(outcomes).toContainEqual(['delivered', false]);
  expect(outcomes).toContainEqual(['refused', true]);
  const all = bodies.join('\n');
  expect(all).toContain('"flash-test"');
  const { secretKey, plaintext } = world;
  for (const text of [email, 'private-', secretKey, plaintext, secret])
    expect(all).not.toContain(text);
});

test('without a collector there is nothing to stop', async () => {
  await expect(startTracing({})()).resolves.toBeUndefined();
});
