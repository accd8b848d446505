import { jwtVerify, SignJWT } from 'jose';
import type { Deps } from '../deps.ts';
import { type MemberId, type ProgramId, parseId } from '../kernel/ids.ts';

const ALGORITHM = 'HS256';
const TYPE = 'flash-member+jwt';
const ISSUER = 'flash';
const AUDIENCE = 'flash-storefront';

export type TokenOf = { programId: ProgramId; memberId: MemberId };

export function signMemberToken(deps: Deps, of: TokenOf & { ttlSeconds: number }): Promise<string> {
  const now = Math.floor(deps.clock.now().getTime() / 1000);
  return new SignJWT({ program: of.programId })
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(of.memberId)
    .setIssuedAt(now)
    .setExpirationTime(now + of.ttlSeconds)
    .sign(deps.config.tokenSecret);
}

/** Undefined for whatever is not a token of ours in force. Needs no database. */
export async function verifyMemberToken(deps: Deps, token: string): Promise<TokenOf | undefined> {
  try {
    const { payload } = await jwtVerify(token, deps.config.tokenSecret, {
      algorithms: [ALGORITHM],
      typ: TYPE,
      issuer: ISSUER,
      audience: AUDIENCE,
      requiredClaims: ['sub', 'iat', 'exp'],
      currentDate: deps.clock.now(),
    });
    const programId = parseId<ProgramId>(String(payload.program));
    const memberId = parseId<MemberId>(String(payload.sub));
    return programId && memberId && { programId, memberId };
  } catch {
    return undefined;
  }
}
