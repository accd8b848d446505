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
type Attempt = Heard & { again?: 'same' | 'otherwise' };
type Asked = { messages: Message[]; signal: AbortSignal };
type Posted = { body: string; signal: AbortSignal };

const reply = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })], z.unknown()),
});

/** For servers that know only one name of the limit; the plainer ones know no structured output. */
const FORMS = [
  { max_tokens: MAX_TOKENS, response_format: answerFormat },
  { max_completion_tokens: MAX_TOKENS, response_format: answerFormat },
  { max_tokens: MAX_TOKENS },
  { max_completion_tokens: MAX_TOKENS },
];

/**
 * Asks until there is an answer: in another form where one was not understood, and in the same
 * where that may help, at most three times and not beyond the signal. Never throws: what goes wrong
 * is a failure, of which neither the key nor the prompt is a part.
 */
export async function askModel(model: AdvisorModel, { messages, signal }: Asked): Promise<Heard> {
  let [form, stumbled] = [0, 0];
  for (;;) {
    const body = JSON.stringify({ model: model.model, messages, ...FORMS[form] });
    const heard = await attemptOnce(model, { body, signal });
    if (heard.again === 'otherwise' && form + 1 < FORMS.length) form++;
    else if (heard.again === 'same' && ++stumbled < ATTEMPTS)
      await sleep(PAUSE_MS * stumbled, undefined, { signal }).catch(() => {});
    else return heard;
  }
}

async function attemptOnce(model: AdvisorModel, posted: Posted): Promise<Attempt> {
  try {
    return await post(model, posted);
  } catch {
    // A refused connection, a broken one, or the end of our patience.
    if (posted.signal.aborted) return { failure: 'LATE' };
    return { failure: 'UNREACHABLE', again: 'same' };
  }
}

async function post(model: AdvisorModel, { body, signal }: Posted): Promise<Attempt> {
  const response = await fetch(endpointOf(model.url), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(model.key && { authorization: `Bearer ${model.key}` }),
    },
    body,
    // Whoever is sent elsewhere would take the facts, if not the key, to somebody unknown.
    redirect: 'manual',
    signal,
  });
  if (!response.ok) {
    await response.body?.cancel();
    return { failure: 'REFUSED', ...againAfter(response.status) };
  }
  return read(response);
}

/** Too many requests and the server's own trouble may pass; a form it does not know will not. */
function againAfter(status: number): Pick<Attempt, 'again'> {
  if (status === 400 || status === 422) return { again: 'otherwise' };
  return status === 408 || status === 429 || status >= 500 ? { again: 'same' } : {};
}

function endpointOf(base: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/chat/completions`;
  return url;
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
