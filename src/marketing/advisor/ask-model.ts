import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { AdvisorModel } from '../../config.ts';
import { answerFormat } from './answer.ts';
import type { Message } from './prompt.ts';

/** Of one answer: five suggestions have about 900. */
const MAX_TOKENS = 2_000;
const MAX_BYTES = 256 * 1024;
const ATTEMPTS = 3;
const PAUSE_MS = 250;

/** What a report says of a model that was of no use. Nothing of what the server said. */
export const FAILURES = {
  UNSET: 'No language model is set.',
  LATE: 'The language model did not answer in time.',
  UNREACHABLE: 'The language model could not be reached.',
  REFUSED: 'The language model answered with an error.',
  INVALID: 'The language model’s answer could not be used.',
} as const;
export type Failure = keyof typeof FAILURES;

export type Heard = { content: string } | { failure: Failure };
type Attempt = Heard & { again?: 'same' | 'plainer' };
type Asked = { messages: Message[]; signal: AbortSignal };

const reply = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })], z.unknown()),
});

/**
 * Asks until there is an answer, at most three times and not beyond the signal. Never throws: what
 * goes wrong is a failure, of which neither the key nor the prompt is a part.
 */
export async function askModel(model: AdvisorModel, asked: Asked): Promise<Heard> {
  let isPlain = false;
  for (let attempt = 1; ; attempt++) {
    const heard = await attemptOnce(model, { ...asked, isPlain });
    if (heard.again === undefined || attempt === ATTEMPTS) return heard;
    if (heard.again === 'plainer' && isPlain) return heard;
    isPlain ||= heard.again === 'plainer';
    await sleep(PAUSE_MS * attempt, undefined, { signal: asked.signal }).catch(() => {});
  }
}

async function attemptOnce(
  model: AdvisorModel,
  asked: Asked & { isPlain: boolean },
): Promise<Attempt> {
  try {
    return await post(model, asked);
  } catch {
    // A refused connection, a broken one, or the end of our patience.
    if (asked.signal.aborted) return { failure: 'LATE' };
    return { failure: 'UNREACHABLE', again: 'same' };
  }
}

async function post(model: AdvisorModel, asked: Asked & { isPlain: boolean }): Promise<Attempt> {
  const response = await fetch(endpointOf(model.url), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(model.key && { authorization: `Bearer ${model.key}` }),
    },
    body: JSON.stringify(bodyOf(model, asked)),
    // Whoever is sent elsewhere would take the facts, if not the key, to somebody unknown.
    redirect: 'manual',
    signal: asked.signal,
  });
  if (!response.ok) {
    await response.body?.cancel();
    return { failure: 'REFUSED', ...againAfter(response.status) };
  }
  return read(response);
}

/** Too many requests and the server's own trouble may pass; a form it does not know will not. */
function againAfter(status: number): Pick<Attempt, 'again'> {
  if (status === 400 || status === 422) return { again: 'plainer' };
  return status === 408 || status === 429 || status >= 500 ? { again: 'same' } : {};
}

function endpointOf(base: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/chat/completions`;
  return url;
}

/** Plain: for servers that know no structured output, or the newer name of the limit alone. */
function bodyOf({ model }: AdvisorModel, { messages, isPlain }: Asked & { isPlain: boolean }) {
  return isPlain
    ? { model, messages, max_completion_tokens: MAX_TOKENS }
    : { model, messages, max_tokens: MAX_TOKENS, response_format: answerFormat };
}

/** The body decides, not its content type: servers of this kind are many, and some send none. */
async function read(response: Response): Promise<Attempt> {
  const text = await readText(response);
  const parsed = text === undefined ? undefined : reply.safeParse(parseOrNothing(text));
  if (!parsed?.success) return { failure: 'INVALID' };
  return { content: parsed.data.choices[0].message.content };
}

/** Undefined for a body beyond the limit, of which no more is read. */
async function readText(response: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
