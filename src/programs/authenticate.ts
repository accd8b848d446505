import type { Deps } from '../deps.ts';
import { sameSecret } from '../kernel/crypto.ts';
import { Mistake } from '../kernel/errors.ts';
import { findKey } from './find-keys.ts';
import { looksLikeKey, readKeyText } from './key-text.ts';
import { verifyMemberToken } from './member-token.ts';
import type { Caller } from './types.ts';

const BEARER = /^bearer +(\S.*)$/i;

/**
 * Who sent this `Authorization` header. Missing, malformed, unknown, expired or revoked: always the
 * same UNAUTHENTICATED, so that it does not tell a key that once was from one that never was.
 */
export async function authenticate(deps: Deps, header: string | undefined): Promise<Caller> {
  const credential = BEARER.exec(header ?? '')?.[1]?.trimEnd();
  const caller = credential && (await callerOf(deps, credential));
  if (!caller)
    throw new Mistake('UNAUTHENTICATED', 'authorization: expected Bearer and a valid credential');
  return caller;
}

async function callerOf(deps: Deps, credential: string): Promise<Caller | undefined> {
  if (!looksLikeKey(credential) || looksLikeKey(deps.config.rootKey)) {
    if (sameSecret(credential, deps.config.rootKey)) return { kind: 'root' };
  }
  if (!looksLikeKey(credential)) {
    const token = await verifyMemberToken(deps, credential);
    return token && { kind: 'member', ...token };
  }
  const wanted = readKeyText(credential);
  const key = wanted && (await findKey(deps, wanted));
  if (!key) return undefined;
  return { kind: 'key', programId: key.programId, keyId: key.id, scopes: new Set(key.scopes) };
}
