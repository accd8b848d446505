import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';

/** Where randomness comes from; a test may bring its own. */
export type Random = { bytes(count: number): Buffer };
export const systemRandom: Random = { bytes: (count) => randomBytes(count) };

/** From 0 up to 1, for what is spread by chance and is no secret. */
export const luckOf = (random: Random): number => random.bytes(4).readUInt32BE() / 2 ** 32;

/** `current` writes; every key reads. A row names the key that it was written with. */
export type Keyring = {
  readonly current: { readonly id: string; readonly key: Buffer };
  readonly all: ReadonlyMap<string, Buffer>;
};

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID = /^[A-Za-z0-9_-]{1,32}$/;

/**
 * Reads `id:base64,id:base64`. Throws an Error that names the entry by its position, never its
 * text.
 */
export function parseKeyring(text: string): Keyring {
  const all = new Map<string, Buffer>();
  for (const [index, entry] of text.split(',').entries()) {
    const at = entry.indexOf(':');
    const id = entry.slice(0, at).trim();
    const key = Buffer.from(entry.slice(at + 1).trim(), 'base64');
    if (at < 1 || !KEY_ID.test(id) || key.length !== KEY_BYTES)
      throw new Error(`entry ${index + 1}: expected id:base64 of ${KEY_BYTES} bytes`);
    if (all.has(id)) throw new Error(`entry ${index + 1}: its id is used twice`);
    all.set(id, key);
  }
  const [id, key] = all.entries().next().value as [string, Buffer];
  return { current: { id, key }, all };
}

/**
 * AES-256-GCM under a nonce that no other text has had under this key: nonce, ciphertext and tag in
 * one piece.
 */
export function seal(
  key: Buffer,
  message: { text: string; context: Buffer; nonce: Buffer },
): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, message.nonce);
  cipher.setAAD(message.context);
  const body = cipher.update(message.text, 'utf8');
  cipher.final(); // GCM is a stream: nothing is left to come, but the tag exists only now
  return Buffer.concat([message.nonce, body, cipher.getAuthTag()]);
}

/** Throws when the key or the context is not the one that sealed it, or a bit has changed. */
export function open(key: Buffer, sealed: { box: Uint8Array; context: Buffer }): string {
  const box = Buffer.from(sealed.box.buffer, sealed.box.byteOffset, sealed.box.byteLength);
  const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, NONCE_BYTES));
  decipher.setAAD(sealed.context);
  decipher.setAuthTag(box.subarray(box.length - TAG_BYTES));
  const text = decipher.update(box.subarray(NONCE_BYTES, box.length - TAG_BYTES));
  return Buffer.concat([text, decipher.final()]).toString('utf8');
}

export const nonceBytes = NONCE_BYTES;

export const hmac = (key: Buffer, text: string): Buffer =>
  createHmac('sha256', key).update(text, 'utf8').digest();

export const sha256 = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();

/** Compares in constant time, whatever the lengths: both sides are hashed first. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(sha256(a), sha256(b));

/** Of a payload that anybody may know: one fingerprint, in the form that idempotency.ts takes. */
export const fingerprint = (parts: readonly string[]): Buffer[] => [sha256(JSON.stringify(parts))];
