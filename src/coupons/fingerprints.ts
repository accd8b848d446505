import { hmac, type Keyring } from '../kernel/crypto.ts';

/**
 * Of a list of codes, under each look-up key, the current one first: a plain hash of a short code
 * can be guessed. Once the key is gone that it was made with, a retry is taken for another payload.
 */
export function secretFingerprints(
  deps: { config: { lookupKeys: Keyring } },
  parts: readonly string[],
): Buffer[] {
  const payload = JSON.stringify(parts);
  return [...deps.config.lookupKeys.all.values()].map((key) => hmac(key, payload));
}
