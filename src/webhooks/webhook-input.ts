import { badInput } from '../kernel/errors.ts';
import { readTypes } from '../kernel/feed.ts';
import { parse, text } from '../kernel/input.ts';
import { checkReachable, type Reach } from './addresses.ts';
import type { WebhookInput } from './types.ts';

const urlText = text(2_000);

export type WebhookSettings = { url: string; types: string[]; enabled: boolean };

/** Judges what a client says about an endpoint; asks the name server, so outside of any lock. */
export async function readWebhookInput(
  input: WebhookInput,
  reach: Reach,
): Promise<WebhookSettings> {
  const url = readUrl(parse(urlText, input.url, 'input.url'));
  const types = [...(readTypes(input.types, 'input.types') ?? [])];
  // To be switched off no address is needed: not one that has become private, nor one at all.
  if (input.enabled) await checkReachable(url, reach);
  return { url: url.href, types, enabled: input.enabled };
}

/** Credentials in a URL end up in logs, on both sides; a signature says who sends. */
function readUrl(said: string): URL {
  const expected = 'a URL such as https://shop.example/flash, without a user or a password';
  if (!URL.canParse(said)) throw badInput('input.url', expected);
  const url = new URL(said);
  const isWeb = url.protocol === 'https:' || url.protocol === 'http:';
  if (!isWeb || url.username || url.password) throw badInput('input.url', expected);
  url.hash = '';
  return url;
}
