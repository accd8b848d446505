import { type Random, sha256 } from '../kernel/crypto.ts';
import { type ProgramId, parseId } from '../kernel/ids.ts';

const PREFIX = 'flash_sk_';
const SECRET_BYTES = 32;
// 32 bytes are 43 characters of base64url; that alphabet has an underscore of its own.
const SHAPE = /^flash_sk_([0-9a-f]{32})_[A-Za-z0-9_-]{43}$/;

export const looksLikeKey = (credential: string): boolean => credential.startsWith(PREFIX);

/** Its text names the program, so that even this look-up goes by the program first. */
export function makeKeyText(random: Random, programId: ProgramId): string {
  const secret = random.bytes(SECRET_BYTES).toString('base64url');
  return `${PREFIX}${programId.replaceAll('-', '')}_${secret}`;
}

/** Undefined for anything that cannot be a secret key. 256 random bits need no slow hash. */
export function readKeyText(text: string): { programId: ProgramId; hash: Buffer } | undefined {
  const hex = SHAPE.exec(text)?.[1];
  if (!hex) return undefined;
  const programId = parseId<ProgramId>(
    hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  );
  return programId && { programId, hash: sha256(text) };
}

export const maskKey = (key: { lastFour: string }): string => `${PREFIX}••••${key.lastFour}`;
