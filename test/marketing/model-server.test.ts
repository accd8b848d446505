/** A language model's server may do whatever it likes: the report is a valid one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { aModelScene, DRAFT, suggestion, withModel } from '../support/model-scene.ts';
import { type Answering, aModelServer, completion, json, says } from '../support/model-server.ts';

const { plain, server, report, answered } = await aModelScene();

test('a good answer is what the report says, and nothing of it was changed', async () => {
  const { source, reason, suggestions } = await answered(says({ suggestions: [suggestion()] }));
  expect({ source, reason }).toEqual({ source: 'MODEL', reason: null });
  const [{ id, ...said }] = suggestions as [(typeof suggestions)[number]];
  expect(said).toEqual(suggestion({ endsAt: new Date(DRAFT.endsAt) }));
  expect(id.length).toBeGreaterThan(100);
});

test('it is asked as servers in the style of OpenAI are asked, with the key and a token budget', async () => {
  await answered(says({ suggestions: [suggestion()] }));
  const { path, headers, body } = server.asked.at(-1) as (typeof server.asked)[number];
  expect(path).toBe('/v1/chat/completions');
  expect(headers.authorization).toBe(`Bearer ${server.model.key}`);
  const { model, messages, max_tokens, response_format } = JSON.parse(body);
  expect([model, max_tokens]).toEqual(['small', 2_000]);
  expect(messages.map(({ role }: { role: string }) => role)).toEqual(['system', 'user']);
  expect(response_format).toMatchObject({ type: 'json_schema', json_schema: { strict: true } });
  const schema = response_format.json_schema.schema.properties.suggestions.items;
  expect(schema.required).toEqual(['title', 'rationale', 'segment', 'draft']);
  expect(schema.properties.draft.required).toEqual(Object.keys(DRAFT));
  expect(schema.properties.draft.additionalProperties).toBe(false);
});

test('the URL may end with a slash or carry a query, and a server may want no key', async () => {
  const { key: _, url, ...model } = server.model;
  server.answers(says({ suggestions: [suggestion()] }));
  for (const [base, path] of [
    [`${url}/`, '/v1/chat/completions'],
    [url.replace('/v1', ''), '/chat/completions'],
    [`${url}?api-version=2`, '/v1/chat/completions?api-version=2'],
  ] as const) {
    const at = { ...plain, config: { ...plain.config, advisor: { ...model, url: base } } };
    expect((await report(at)).source).toBe('MODEL');
    expect(server.asked.at(-1)?.path).toBe(path);
    expect(server.asked.at(-1)?.headers.authorization).toBeUndefined();
  }
});

test('each report asks anew: neither answers nor failures are kept', async () => {
  const before = server.asked.length;
  const titles: unknown[] = [];
  for (const title of ['The first', 'The second']) {
    const { suggestions } = await answered(says({ suggestions: [suggestion({}, { title })] }));
    titles.push(suggestions[0]?.title);
    expect((await answered(json('nonsense'))).source).toBe('RULES');
  }
  expect(titles).toEqual(['The first', 'The second']);
  expect(server.asked.length - before).toBe(4);
});

const UNUSABLE = 'The language model’s answer could not be used.';
const endless: Answering = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const more = () => {
    while (!response.destroyed && response.write('x'.repeat(65_536)));
  };
  response.on('drain', more);
  more();
};
const typed =
  (type: string | undefined, body: string): Answering =>
  (response) =>
    response.writeHead(200, type === undefined ? {} : { 'content-type': type }).end(body);
const good = completion(JSON.stringify({ suggestions: [suggestion()] }));

test.each<[string, Answering]>([
  ['no JSON', json('<html>')],
  ['half a JSON', json(good.slice(0, -9))],
  ['nothing', json('')],
  ['JSON of another form', json('{"error": "no"}')],
  ['no choice', json('{"choices": []}')],
  ['no words', json(completion(null))],
  ['words that are a number', json(completion(42))],
  ['words that are no JSON', json(completion('I would suggest a discount.'))],
  ['no suggestions', says({ suggestions: [] })],
  ['suggestions that are none', says({ suggestions: [null, 1, 'x', [], {}] })],
  ['numbers as words', says({ suggestions: [suggestion({ discountValue: '10 %' })] })],
  [
    'numbers beyond all',
    json(completion(JSON.stringify({ suggestions: [suggestion()] }).replace('1500', '1e999'))),
  ],
  ['a kind that there is not', says({ suggestions: [suggestion({ discountKind: 'FREE' })] })],
  ['a segment that there is not', says({ suggestions: [suggestion({}, { segment: 'Whales' })] })],
  ['texts with nothing in them', says({ suggestions: [suggestion({}, { title: '<b></b>' })] })],
  [
    'an offer that is run',
    says({ suggestions: [suggestion({ ...DRAFT, discountValue: 1_000, minOrderAmount: 0 })] }),
  ],
  ['a page', typed('text/html', '<html>good</html>')],
  ['a stream', typed('text/event-stream', `data: ${good}\n\n`)],
  ['a body that is too large', json(good + ' '.repeat(300_000))],
  ['a body that never ends', endless],
  [
    'a bomb',
    (response) =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(gzipSync(' '.repeat(50_000_000))),
  ],
  ['JSON as deep as it is long', json(completion('['.repeat(100_000)))],
])('%s: the rules speak, after one question', async (_, answering) => {
  const before = server.asked.length;
  const { source, reason } = await answered(answering);
  expect({ source, reason }).toEqual({ source: 'RULES', reason: UNUSABLE });
  expect(server.asked.length - before).toBe(1);
});

const REFUSED = 'The language model answered with an error.';

test.each([
  [500, 3],
  [429, 3],
  [400, 4],
  [422, 4],
  [401, 1],
  [404, 1],
])('status %i: the rules speak, after %i questions', async (status, count) => {
  const before = server.asked.length;
  const { source, reason } = await answered((response) => response.writeHead(status).end());
  expect({ source, reason }).toEqual({ source: 'RULES', reason: REFUSED });
  expect(server.asked.length - before).toBe(count);
});

test.each(['text/plain', 'text/html', 'application/json; charset=utf-8', undefined])(
  'JSON is JSON, also with a content type of %s',
  async (type) => {
    expect((await answered(typed(type, good))).source).toBe('MODEL');
  },
);

test('a server that stumbles once is asked again', async () => {
  let count = 0;
  const { source } = await answered((response, asked) =>
    ++count === 1
      ? json('{}', 500)(response, asked)
      : says({ suggestions: [suggestion()] })(response, asked),
  );
  expect([source, count]).toEqual(['MODEL', 2]);
});

test('a server that hangs up is asked again, and again', async () => {
  const before = server.asked.length;
  const { source, reason } = await answered((response) => response.destroy());
  expect(source).toBe('RULES');
  expect(reason).toBe('The language model could not be reached.');
  expect(server.asked.length - before).toBe(3);
});

const BASE = ['model', 'messages'];

test.each([
  [['max_tokens', 'response_format'], 1],
  [['max_completion_tokens', 'response_format'], 2],
  [['max_tokens'], 3],
  [['max_completion_tokens'], 4],
])('a server that knows no more than %j is asked so that it understands', async (known, count) => {
  const before = server.asked.length;
  const { source } = await answered((response, asked) => {
    const fields = Object.keys(JSON.parse(asked.body));
    const isKnown = fields.every((field) => [...BASE, ...known].includes(field));
    const answer = isKnown
      ? says({ suggestions: [suggestion()] })
      : json('{"error": {"message": "unknown field"}}', 400);
    answer(response, asked);
  });
  expect(source).toBe('MODEL');
  expect(server.asked.length - before).toBe(count);
  const body = JSON.parse(server.asked.at(-1)?.body as string);
  expect(body.max_tokens ?? body.max_completion_tokens).toBe(2_000);
  expect(Object.keys(body).sort()).toEqual([...BASE, ...known].sort());
});

test.each([301, 302, 307, 308])('a redirect (%i) is not followed', async (status) => {
  const other = await aModelServer();
  other.answers(says({ suggestions: [suggestion()] }));
  const { source, reason } = await answered((response) =>
    response.writeHead(status, { location: `${other.model.url}/chat/completions` }).end(),
  );
  expect({ source, reason }).toEqual({ source: 'RULES', reason: REFUSED });
  expect(other.asked).toEqual([]);
});

test('nobody there: the rules speak', async () => {
  const advisor = { url: 'http://127.0.0.1:1/v1', model: 'small' };
  const { source, reason } = await report({ ...plain, config: { ...plain.config, advisor } });
  expect(source).toBe('RULES');
  expect(reason).toBe('The language model could not be reached.');
});

test('no model is set: the rules speak, the same each time', async () => {
  const reports = [await report(plain), await report(plain)];
  const [one, other] = reports.map(({ suggestions, ...rest }) => ({
    ...rest,
    suggestions: suggestions.map(({ id: _, ...said }) => said),
  }));
  expect(one).toMatchObject({ source: 'RULES', reason: 'No language model is set.' });
  expect(one).toEqual(other);
});

// All at once: each takes its whole time, which is enough to read the facts on a busy machine.
test.concurrent.each<[string, Answering]>([
  ['says nothing', () => {}],
  [
    'sends no body',
    (response) => response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders(),
  ],
  [
    'trickles',
    (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    },
  ],
  // So slowly that it has not been asked often enough when the time is over.
  ['is busy for ever', (response) => void setTimeout(() => response.writeHead(429).end(), 1_250)],
])('a server that %s has no more than its time', async (_, answering) => {
  const patienceMs = 3_000;
  const slow = await aModelServer({ patienceMs });
  slow.answers(answering);
  const began = performance.now();
  const { source, reason } = await report(withModel(plain, slow), () => {
    const took = performance.now() - began;
    expect(took).toBeGreaterThanOrEqual(patienceMs - 5);
    expect(took).toBeLessThan(20_000);
  });
  expect(source).toBe('RULES');
  expect(reason).toMatch(/The language model did not answer in time\.$/);
});

test('a server that answers well, but slowly and in pieces, is heard to its end', async () => {
  const slow = await aModelServer();
  slow.answers(async (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const bytes = Buffer.from(good);
    for (let at = 0; at < bytes.length; at += 50) {
      response.write(bytes.subarray(at, at + 50));
      await sleep(50);
    }
    response.end();
  });
  const began = performance.now();
  expect(await report(withModel(plain, slow))).toMatchObject({ source: 'MODEL', reason: null });
  expect(performance.now() - began).toBeGreaterThan(400);
  expect(slow.asked).toHaveLength(1);
});
