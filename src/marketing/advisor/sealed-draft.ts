/**
 * A suggestion's id is its draft, sealed under the keyring of the codes: nothing is stored, and
 * only what this engine has proposed to this program can be adopted.
 */
import { hmac, type Keyring, nonceBytes, open, seal } from '../../kernel/crypto.ts';
import type { ProgramId } from '../../kernel/ids.ts';
import type { Draft } from '../types.ts';

type Keys = { config: { encryptionKeys: Keyring } };

const ID = /^([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{40,4000})$/;

/** Not the form of a code's context, so that neither can be opened as the other. */
const contextOf = (programId: ProgramId) => Buffer.from(`suggestion of ${programId}`);

/**
 * The same draft has the same id, as the same data has the same suggestions. So its nonce is no
 * chance: it is a keyed hash of all that is sealed, and another one for every other text.
 */
export function sealDraft(
  deps: Keys,
  { programId, draft }: { programId: ProgramId; draft: Draft },
): string {
  const { id, key } = deps.config.encryptionKeys.current;
  const text = JSON.stringify(draft);
  const context = contextOf(programId);
  const nonce = hmac(key, `nonce: ${context}: ${text}`).subarray(0, nonceBytes);
  const box = seal(key, { text, context, nonce });
  return `${id}.${box.toString('base64url')}`;
}

/** Undefined for whatever was not sealed here, for this program, to the last bit. */
export function openDraft(
  deps: Keys,
  { programId, id }: { programId: ProgramId; id: string },
): Draft | undefined {
  const [, keyId = '', text = ''] = ID.exec(id) ?? [];
  const key = deps.config.encryptionKeys.all.get(keyId);
  const box = Buffer.from(text, 'base64url');
  // The last character has bits that decoding passes over.
  if (!key || box.toString('base64url') !== text) return undefined;
  try {
    const draft = JSON.parse(open(key, { box, context: contextOf(programId) }));
    return { ...draft, endsAt: new Date(draft.endsAt) };
  } catch {
    return undefined;
  }
}
