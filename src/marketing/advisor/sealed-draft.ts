/**
 * A suggestion's id is its draft, sealed under the keyring of the codes: nothing is stored, and
 * only what this engine has proposed to this program can be adopted.
 */
import { type Keyring, nonceBytes, open, type Random, seal } from '../../kernel/crypto.ts';
import type { ProgramId } from '../../kernel/ids.ts';
import type { Draft } from '../types.ts';

type Keys = { config: { encryptionKeys: Keyring } };

const ID = /^([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{40,4000})$/;

/** Not the form of a code's context, so that neither can be opened as the other. */
const contextOf = (programId: ProgramId) => Buffer.from(`suggestion of ${programId}`);

export function sealDraft(
  deps: Keys & { random: Random },
  of: { programId: ProgramId; draft: Draft },
): string {
  const { id, key } = deps.config.encryptionKeys.current;
  const box = seal(key, {
    text: JSON.stringify(of.draft),
    context: contextOf(of.programId),
    nonce: deps.random.bytes(nonceBytes),
  });
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
