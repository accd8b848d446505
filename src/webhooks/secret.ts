import { Webhook as Signer } from 'standardwebhooks';
import { type Keyring, nonceBytes, open, type Random, seal } from '../kernel/crypto.ts';
import type { Webhook } from './types.ts';

const SECRET_BYTES = 32;
const PREFIX = 'whsec_';

type Keys = { config: { encryptionKeys: Keyring } };
type Place = Pick<Webhook, 'programId' | 'id'>;
export type SealedSecret = { secret: Uint8Array<ArrayBuffer>; secretKeyId: string };

/** In the form of the Standard Webhooks specification. */
export const newSecret = (random: Random): string =>
  PREFIX + random.bytes(SECRET_BYTES).toString('base64');

/** Binds a secret to its endpoint: moved to another row, it does not open. */
const contextOf = ({ programId, id }: Place): Buffer =>
  Buffer.from(`${programId}${id}`.replaceAll('-', ''), 'hex');

export function sealSecret(
  deps: Keys & { random: Random },
  { text, ...place }: Place & { text: string },
): SealedSecret {
  const { id, key } = deps.config.encryptionKeys.current;
  const nonce = deps.random.bytes(nonceBytes);
  const box = seal(key, { text, nonce, context: contextOf(place) });
  return { secret: new Uint8Array(box), secretKeyId: id };
}

export function openSecret(
  deps: Keys,
  { secret, secretKeyId, ...place }: Place & { secret: Uint8Array; secretKeyId: string },
): string {
  const key = deps.config.encryptionKeys.all.get(secretKeyId);
  if (!key) throw new Error('a webhook’s secret needs a key that FLASH_ENCRYPTION_KEYS lacks');
  return open(key, { box: secret, context: contextOf(place) });
}

/** The secrets in force, the newest first: for a day after a change the one before it still is. */
export function secretsOf(deps: Keys, { webhook, now }: { webhook: Webhook; now: Date }): string[] {
  const { previousSecret, previousKeyId, previousUntil } = webhook;
  const secrets = [openSecret(deps, webhook)];
  if (previousSecret && previousKeyId && previousUntil && previousUntil > now) {
    const before = { ...webhook, secret: previousSecret, secretKeyId: previousKeyId };
    secrets.push(openSecret(deps, before));
  }
  return secrets;
}

export type Message = { id: string; body: string };

/** The headers by which a receiver knows that a message is ours, new, and which one it is. */
export function signedHeaders(
  message: Message,
  { secrets, at }: { secrets: readonly string[]; at: Date },
): Record<string, string> {
  const { id, body } = message;
  const signatures = secrets.map((secret) => new Signer(secret).sign(id, at, body));
  return {
    'content-type': 'application/json',
    'user-agent': 'flash-webhooks',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': signatures.join(' '),
  };
}
