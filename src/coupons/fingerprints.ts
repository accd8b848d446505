import { hmac, type Keyring } from '../kernel/crypto.ts';

/**
 * Of a payload, under each look-up key, the current one first: a list of codes to import is part of
 * one, and a plain hash of a short code can be guessed.
 */
export function fingerprints(
  deps: { config: { lookupKeys: Keyring } },
  parts: readonly string[],
): Buffer[] {
  const payload = JSON.stringify(parts);
  return [...deps.config.lookupKeys.all.values()].map((key) => hmac(key, payload));
}
