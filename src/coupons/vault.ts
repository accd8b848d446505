import { hmac, type Keyring, nonceBytes, open, type Random, seal } from '../kernel/crypto.ts';
import { canonicalForm } from './canonical.ts';
import type { Code } from './types.ts';

type Keys = { config: { encryptionKeys: Keyring; lookupKeys: Keyring } };
type Place = { programId: string; poolId: string; id: string };

/** What the database keeps of a code's text. */
export type Sealed = {
  ciphertext: Buffer;
  keyId: string;
  lookupHash: Buffer;
  lookupKeyId: string;
};

/** Binds a ciphertext to its row: moved to another row, pool or program, it does not decrypt. */
function contextOf(place: Place): Buffer {
  const hex = `${place.programId}${place.poolId}${place.id}`.replaceAll('-', '');
  return Buffer.from(hex, 'hex');
}

/** `nonce` is fresh randomness for each code: GCM under one key must never see it twice. */
export function sealCode(deps: Keys, code: Place & { text: string; nonce: Buffer }): Sealed {
  const { encryptionKeys, lookupKeys } = deps.config;
  const { text, nonce } = code;
  return {
    ciphertext: seal(encryptionKeys.current.key, { text, nonce, context: contextOf(code) }),
    keyId: encryptionKeys.current.id,
    lookupHash: hmac(lookupKeys.current.key, canonicalForm(text)),
    lookupKeyId: lookupKeys.current.id,
  };
}

export const drawNonces = (random: Random, count: number): Buffer[] => {
  const bytes = random.bytes(count * nonceBytes);
  return Array.from({ length: count }, (_, i) =>
    bytes.subarray(i * nonceBytes, (i + 1) * nonceBytes),
  );
};

/** Throws when the key is not in the keyring, or the ciphertext is not this row's. */
export function openCode(
  deps: Keys,
  code: Pick<Code, 'programId' | 'poolId' | 'id' | 'ciphertext' | 'keyId'>,
): string {
  const key = deps.config.encryptionKeys.all.get(code.keyId);
  if (!key) throw new Error('a code is sealed with a key that FLASH_ENCRYPTION_KEYS does not hold');
  return open(key, { box: code.ciphertext, context: contextOf(code) });
}

/** Under every look-up key, the current one first: while keys rotate, rows stand under either. */
export const lookupHashes = (deps: Keys, canonical: string): Buffer[] =>
  [...deps.config.lookupKeys.all.values()].map((key) => hmac(key, canonical));
