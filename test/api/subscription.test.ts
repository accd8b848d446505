import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient, type FormattedExecutionResult } from 'graphql-ws';
import { afterAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { LiveFeeds } from '../../src/graphql/live.ts';
import { openLog } from '../../src/kernel/log.ts';
import { createMemberToken, revokeSecretKey } from '../../src/programs/index.ts';
import { startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { aMember, aProgram } from '../support/factories.ts';
import { until } from '../support/until.ts';
import { movableClock } from '../support/webhooks.ts';
import { aKey } from '../support/world.ts';

const deps = await testDeps();
const api = await startApi(deps);
const { programId, secretKey } = await aProgram(deps);
const urlOf = (of: { url: string }) => `${of.url.replace('http', 'ws')}/graphql`;
const socketUrl = urlOf(api);
const clients: Client[] = [];
afterAll(async () => {
  for (const client of clients) await client.dispose();
});

type Message = FormattedExecutionResult<{ events: { id: string; type: string } }>;
type Heard = { messages: Message[]; closed: { code: number; reason: string } | undefined };

const EVENTS = 'subscription { events { id type memberId data at } }';
type Asking = { query?: string; variables?: Record<string, unknown>; api?: typeof api };

/** Subscribes, and keeps what arrives. `credential` is what connection_init says, if anything. */
function listen(
  credential: string | undefined,
  { query = EVENTS, variables = {}, ...at }: Asking = {},
): Heard & { leave(): void } {
  const heard: Heard = { messages: [], closed: undefined };
  const client = createClient({
    url: urlOf(at.api ?? api),
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    lazy: true,
    connectionParams: credential === undefined ? {} : { authorization: credential },
    on: {
      closed: (event) => {
        const { code, reason } = event as { code: number; reason: string };
        heard.closed = { code, reason };
      },
    },
  });
  clients.push(client);
  const leave = client.subscribe<Message['data']>(
    { query, variables },
    {
      next: (message) => void heard.messages.push(message as Message),
      error: (errors) =>
        Array.isArray(errors) && heard.messages.push({ errors: errors as Message['errors'] }),
      complete: () => {},
    },
  );
  return Object.assign(heard, { leave });
}

/** The same, but for these. */
const overlaid = <T extends object>(of: T, by: Partial<T>): T =>
  new Proxy(of, { get: (target, name) => Reflect.get(name in by ? by : target, name) });

/** Whether somebody asks where the feed ends. */
const isAboutTheEnd = ([sql]: readonly unknown[]) =>
  String(sql) === 'SELECT events_horizon() AS xid';

function gate(): { opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

const typesIn = ({ messages }: Heard) => messages.map(({ data }) => data?.events.type);
const codesIn = ({ messages }: Heard) =>
  messages.flatMap(({ errors }) => errors?.map(({ extensions }) => extensions?.code) ?? []);

/** Makes members until the listener hears of one: then it has begun to listen. */
async function heardFirst(heard: Heard, of = programId): Promise<void> {
  await until(async () => {
    await aMember(deps, { programId: of });
    await sleep(100);
    return heard.messages.length > 0;
  });
}

test('what is committed arrives as it is told by the feed, and only of one’s own program', async () => {
  const other = await aProgram(deps);
  const heard = listen(`Bearer ${secretKey}`);
  const foreign = listen(`Bearer ${other.secretKey}`);
  await heardFirst(heard);
  await heardFirst(foreign, other.programId);
  const member = await aMember(deps, { programId });
  await until(() => heard.messages.some(({ data }) => Object(data?.events).memberId === member.id));
  const { events } = await api.data(secretKey, '{ events(first: 200) { nodes { id } } }');
  const known = events.nodes.map(({ id }: { id: string }) => id);
  const ids = heard.messages.map(({ data }) => data?.events.id);
  expect(known.slice(known.indexOf(ids[0]))).toEqual(ids);
  expect(known).not.toContain(foreign.messages[0]?.data?.events.id);
});

test('only the types that were asked for arrive', async () => {
  const all = listen(`Bearer ${secretKey}`);
  const some = listen(`Bearer ${secretKey}`, {
    query: 'subscription ($types: [String!]) { events(types: $types) { type } }',
    variables: { types: ['points.awarded'] },
  });
  await heardFirst(all);
  const member = await aMember(deps, { programId });
  const award = `mutation ($id: ID!, $order: String!) { awardPoints(input:
    { memberId: $id, source: RECEIPT, orderId: $order, amount: 100 }) { __typename } }`;
  let orders = 0;
  await until(async () => {
    await api.data(secretKey, award, { id: member.id, order: `o-${++orders}` });
    await sleep(50);
    return some.messages.length > 0;
  });
  expect(new Set(typesIn(some))).toEqual(new Set(['points.awarded']));
  expect(typesIn(all)).toContain('member.created');
});

test.each([
  ['none', undefined],
  ['a malformed one', 'Bearer nonsense'],
  ['an unknown key', `Bearer flash_sk_${'0'.repeat(32)}_${'A'.repeat(43)}`],
])('a connection with %s as its credential is closed as UNAUTHENTICATED', async (_, credential) => {
  const heard = listen(credential);
  await until(() => heard.closed !== undefined);
  expect(heard.closed?.code).toBe(4401);
  expect(heard.closed?.reason).toMatch(/^UNAUTHENTICATED/);
  expect(heard.messages).toEqual([]);
});

test('who may not read the ledger may not listen: a member, or a key without its scope', async () => {
  const member = await aMember(deps, { programId });
  const token = await createMemberToken(deps, { programId, memberId: member.id, ttlSeconds: 60 });
  const { secretKey: poolsOnly } = await aKey(deps, { programId, scopes: ['POOLS_READ'] });
  for (const credential of [token, poolsOnly]) {
    const heard = listen(`Bearer ${credential}`);
    await until(() => heard.messages.length > 0);
    expect(codesIn(heard)).toEqual(['FORBIDDEN']);
  }
});

test.each([
  ['a query', '{ program { id } }', {}, 'BAD_USER_INPUT', 'query'],
  ['a syntax error', 'subscription {', {}, 'GRAPHQL_PARSE_FAILED', 'Syntax Error'],
  ['an unknown field', 'subscription { no }', {}, 'GRAPHQL_VALIDATION_FAILED', 'no'],
  [
    'an unknown type of event',
    'subscription { events(types: ["s3cret.word"]) { id } }',
    {},
    'BAD_USER_INPUT',
    'types.0',
  ],
  ['no type at all', 'subscription { events(types: []) { id } }', {}, 'BAD_USER_INPUT', 'types'],
  [
    'a variable of another type',
    'subscription ($t: [String!]) { events(types: $t) { id } }',
    { t: [{ s3cret: 1 }] },
    'BAD_USER_INPUT',
    't.0',
  ],
])(
  '%s is refused with what was expected, and not with what was sent',
  async (...[, query, variables, code, named]) => {
    const heard = listen(`Bearer ${secretKey}`, { query, variables });
    await until(() => heard.messages.length > 0);
    expect(codesIn(heard)).toEqual([code]);
    expect(heard.messages[0]?.errors?.[0]?.message).toContain(named);
    expect(JSON.stringify(heard.messages)).not.toContain('s3cret');
  },
);

test('a subscription that is POSTed is told where to go', async () => {
  const { status, body } = await api.query(secretKey, 'subscription { events { id } }');
  expect(status).toBe(400);
  expect(body.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
});

test('a key that is revoked ends what was begun with it', async () => {
  const { key, secretKey: passing } = await aKey(deps, { programId, scopes: ['LEDGER_READ'] });
  const heard = listen(`Bearer ${passing}`);
  await heardFirst(heard);
  await revokeSecretKey(deps, { programId, id: key.id });
  await until(() => heard.closed !== undefined);
  expect(heard.closed?.code).toBe(4401);
});

test('a program is followed while somebody listens, by one reader, and no longer', async () => {
  const { programId } = await aProgram(deps); // whose feed is empty
  const live = new LiveFeeds(deps);
  const one = await live.listen({ programId, types: undefined });
  const two = await live.listen({ programId, types: undefined });
  expect(live.readers).toBe(1);
  const waiting = one.next();
  await aMember(deps, { programId });
  expect(await waiting).toMatchObject({ done: false, value: { type: 'member.created' } });
  const blocked = one.next();
  await one.return?.();
  expect(await blocked).toEqual({ done: true, value: undefined });
  expect(live.readers).toBe(1);
  await two.return?.();
  expect(live.readers).toBe(0);
});

test('who joins while a program is followed hears what is committed from then on', async () => {
  const { programId } = await aProgram(deps);
  const asking = gate();
  const heard = gate();
  let isJoining = false;
  // Whoever asks where the feed ends is answered when the others have heard of what comes next.
  const $queryRaw = (async (...query: Parameters<typeof deps.db.$queryRaw>) => {
    const rows = await deps.db.$queryRaw(...query);
    if (isAboutTheEnd(query) && isJoining) {
      asking.open();
      await heard.opened;
    }
    return rows;
  }) as typeof deps.db.$queryRaw;
  const live = new LiveFeeds({ ...deps, db: overlaid(deps.db, { $queryRaw }) });
  const one = await live.listen({ programId, types: undefined });
  isJoining = true;
  const joining = live.listen({ programId, types: undefined });
  await Promise.race([asking.opened, joining]);
  const first = await aMember(deps, { programId });
  expect(await one.next()).toMatchObject({ value: { memberId: first.id } });
  heard.open();
  const two = await joining;
  await aMember(deps, { programId });
  expect(await two.next()).toMatchObject({ value: { memberId: first.id } });
  await one.return?.();
  await two.return?.();
});

test('each program is told its own, and who comes again is told nothing twice', async () => {
  const { programId } = await aProgram(deps);
  const live = new LiveFeeds(deps);
  const other = await aProgram(deps);
  const mine = await live.listen({ programId, types: undefined });
  const theirs = await live.listen({ programId: other.programId, types: undefined });
  await aMember(deps, { programId });
  await mine.next();
  await mine.return?.();
  const again = await live.listen({ programId, types: undefined });
  const [here, there] = [await aMember(deps, { programId }), await aMember(deps, other)];
  expect(await again.next()).toMatchObject({ value: { programId, memberId: here.id } });
  expect(await theirs.next()).toMatchObject({ value: { memberId: there.id } });
  await again.return?.();
  await theirs.return?.();
  expect(live.readers).toBe(0);
});

test('an internal error is told without a word of it, logged by its request, and counted', async () => {
  let text = '';
  const log = openLog('info', {
    write: (line: string) => {
      text += line;
    },
  });
  const $queryRaw = ((...query: Parameters<typeof deps.db.$queryRaw>) =>
    isAboutTheEnd(query)
      ? Promise.reject(new Error('zebra'))
      : deps.db.$queryRaw(...query)) as typeof deps.db.$queryRaw;
  const own = await startApi({ ...deps, log, db: overlaid(deps.db, { $queryRaw }) });
  const heard = listen(`Bearer ${secretKey}`, { api: own });
  await until(() => heard.messages.length > 0);
  const [error] = heard.messages[0]?.errors ?? [];
  expect(error?.extensions).toEqual({
    code: 'INTERNAL_SERVER_ERROR',
    requestId: expect.any(String),
  });
  const lines = text.split('\n').flatMap((line) => (line ? [JSON.parse(line)] : []));
  const { requestId } = error?.extensions ?? {};
  const admitted = {
    msg: 'a socket was admitted',
    requestId,
    programId,
    keyId: expect.any(String),
  };
  expect(lines).toMatchObject([admitted, { msg: 'internal error', requestId }]);
  expect(text).not.toContain(secretKey);
  expect(JSON.stringify(heard.messages)).not.toContain('zebra');
  const numbers = await deps.metrics.metrics();
  expect(numbers).toContain('flash_graphql_errors_total{code="INTERNAL_SERVER_ERROR"} 1');
  expect(numbers).toMatch(
    /flash_graphql_operations_total{type="subscription",field="events"} [1-9]/,
  );
});

test('a token that runs out ends the connection that was opened with it', async () => {
  const clock = movableClock();
  const own = await startApi({ ...deps, clock });
  const member = await aMember(deps, { programId });
  const token = await createMemberToken(deps, { programId, memberId: member.id, ttlSeconds: 60 });
  const client = new WebSocket(urlOf(own), 'graphql-transport-ws');
  await once(client, 'open');
  const payload = { authorization: `Bearer ${token}` };
  client.send(JSON.stringify({ type: 'connection_init', payload }));
  const [ack] = await once(client, 'message');
  expect(JSON.parse(String(ack))).toEqual({ type: 'connection_ack' });
  clock.move(61_000);
  expect((await once(client, 'close'))[0]).toBe(4401);
});

test('one key may have a hundred connections; one that is closed makes room, and others have theirs', async () => {
  const { secretKey: crowded } = await aKey(deps, { programId, scopes: ['LEDGER_READ'] });
  const connect = async (key: string) => {
    const client = new WebSocket(socketUrl, 'graphql-transport-ws');
    await once(client, 'open');
    const payload = { authorization: `Bearer ${key}` };
    const answered = Promise.race([
      once(client, 'message').then(() => 'welcome'),
      once(client, 'close').then(([code]) => code),
    ]);
    client.send(JSON.stringify({ type: 'connection_init', payload }));
    return { client, answer: await answered };
  };
  const many: Awaited<ReturnType<typeof connect>>[] = [];
  // A few at a time: each is to say who it is within three seconds.
  while (many.length < 100)
    many.push(...(await Promise.all(Array.from({ length: 10 }, () => connect(crowded)))));
  expect(new Set(many.map(({ answer }) => answer))).toEqual(new Set(['welcome']));
  expect((await connect(crowded)).answer).toBe(4429);
  const own = await connect(secretKey);
  expect(own.answer).toBe('welcome');
  many[0]?.client.close();
  await until(async () => {
    many.push(await connect(crowded));
    return many.at(-1)?.answer === 'welcome';
  });
  for (const { client } of [...many, own]) client.terminate();
});

test('closing the API closes the sockets, and does not wait for them', async () => {
  const own = await startApi(deps);
  const client = createClient({
    url: `${own.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    lazy: false,
    onNonLazyError: () => {},
    connectionParams: { authorization: `Bearer ${secretKey}` },
  });
  const isClosed = new Promise<void>((resolve) => client.on('closed', () => resolve()));
  await new Promise<void>((resolve) => client.on('connected', () => resolve()));
  await own.close();
  await expect(isClosed).resolves.toBeUndefined();
});

test('a client that does not say goodbye is cut off when the API closes', async () => {
  const own = await startApi(deps);
  const client = new WebSocket(`${own.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  await new Promise((resolve) => client.once('open', resolve));
  client.pause(); // it reads nothing any more, the goodbye of the server among it
  const began = performance.now();
  await own.close();
  expect(performance.now() - began).toBeLessThan(10_000);
  client.terminate();
});

test('what is no message, or names a subscription twice, ends the connection without an echo', async () => {
  const say = async (...messages: string[]) => {
    const client = new WebSocket(socketUrl, 'graphql-transport-ws');
    await new Promise((resolve) => client.once('open', resolve));
    const closed = new Promise<string>((resolve) =>
      client.once('close', (code, reason) => resolve(`${code} ${reason}`)),
    );
    client.send(
      JSON.stringify({
        type: 'connection_init',
        payload: { authorization: `Bearer ${secretKey}` },
      }),
    );
    await new Promise((resolve) => client.once('message', resolve));
    for (const message of messages) client.send(message);
    return closed;
  };
  const payload = { query: 'subscription { events { id } }' };
  const subscribe = JSON.stringify({ type: 'subscribe', id: 's3cret', payload });
  expect(await say('s3cret')).toMatch(/^4400 /);
  expect(await say(subscribe, subscribe)).toBe('4409 id: expected one that is not in use');
  expect(await say('x'.repeat(70_000))).toMatch(/^1009/);
});
