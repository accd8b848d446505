import type { Keyring, Random } from '../kernel/crypto.ts';
import { type Db, inTransaction, type Tx } from '../kernel/db.ts';
import { lockCodeSpace } from '../kernel/locks.ts';
import { enterLookupKey, forgetLookupKeys } from './lookup-keys.ts';
import { type CodeRow, toCode } from './sql/code-row.ts';
import { drawNonces, openCode, sealCode } from './vault.ts';

const PAGE = 500;

/** Less than Deps: nothing but the codes and their keys is needed. */
type Rotating = {
  db: Db;
  random: Random;
  config: { encryptionKeys: Keyring; lookupKeys: Keyring };
};

export type KeyRotation = {
  /** Called after each page with how many codes are done, of how many in all. */
  onProgress?: (done: number, total: number) => void;
};

/**
 * Brings every code under the current encryption and look-up keys, a page at a time, while the
 * service runs: both keyrings still hold the old keys, so a code is read and found before and after
 * its turn. Answers how many codes were moved. Stopped half way, it goes on where it was.
 *
 * Locks: CODE_SPACE, the code rows of a page in the order of their ids; a claim passes over them.
 * Refusals: none.
 * A retry finds nothing left to do.
 * Events: none.
 */
export async function rotateKeys(deps: Rotating, rotation: KeyRotation = {}): Promise<number> {
  const total = await countOutdated(deps);
  let done = 0;
  rotation.onProgress?.(done, total);
  for (const { id: programId } of await deps.db.program.findMany({ select: { id: true } })) {
    let after: string | undefined = '00000000-0000-0000-0000-000000000000';
    while (after !== undefined) {
      const page: Page = await inTransaction(deps, (tx) =>
        rotatePage(tx, { deps, programId, after }),
      );
      done += page.moved;
      after = page.last;
      rotation.onProgress?.(done, total);
    }
  }
  return done;
}

async function countOutdated(deps: Rotating): Promise<number> {
  const { encryptionKeys, lookupKeys } = deps.config;
  return deps.db.code.count({
    where: {
      OR: [
        { keyId: { not: encryptionKeys.current.id } },
        { lookupKeyId: { not: lookupKeys.current.id } },
      ],
    },
  });
}

type Page = { moved: number; last: string | undefined };

async function rotatePage(
  tx: Tx,
  { deps, programId, after }: { deps: Rotating; programId: string; after: string | undefined },
): Promise<Page> {
  const { encryptionKeys, lookupKeys } = deps.config;
  await lockCodeSpace(tx, programId);
  await enterLookupKey(tx, { programId, lookupKeys });
  const rows = await tx.$queryRaw<CodeRow[]>`
    SELECT * FROM codes
    WHERE program_id = ${programId}::uuid AND id > ${after}::uuid
      AND (key_id <> ${encryptionKeys.current.id} OR lookup_key_id <> ${lookupKeys.current.id})
    ORDER BY id LIMIT ${PAGE} FOR UPDATE`;
  if (rows.length === 0) {
    await forgetLookupKeys(tx, { programId, lookupKeys });
    return { moved: 0, last: undefined };
  }
  const nonces = drawNonces(deps.random, rows.length);
  const sealed = rows.map(toCode).map((code, i) => ({
    id: code.id,
    ...sealCode(deps, { ...code, text: openCode(deps, code), nonce: nonces[i] as Buffer }),
  }));
  const moved = await tx.$executeRaw`
    UPDATE codes c SET ciphertext = s.ciphertext, lookup_hash = s.hash,
      key_id = ${encryptionKeys.current.id}, lookup_key_id = ${lookupKeys.current.id}
    FROM unnest(${sealed.map((s) => s.id)}::uuid[], ${sealed.map((s) => s.ciphertext)}::bytea[],
      ${sealed.map((s) => s.lookupHash)}::bytea[]) AS s(id, ciphertext, hash)
    WHERE c.program_id = ${programId}::uuid AND c.id = s.id`;
  if (moved !== rows.length) throw new Error(`moved ${moved} codes instead of ${rows.length}`);
  return { moved, last: rows.at(-1)?.id };
}
