import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { badInput, Mistake, notFound } from '../kernel/errors.ts';
import { newId, type ProgramId, parseId, type SecretKeyId } from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { makeKeyText, readKeyText } from './key-text.ts';
import type { Caller, Scope, SecretKey } from './types.ts';

type Wish = { programId: ProgramId; name: string | null; scopes: Scope[] };

/**
 * Locks: none.
 * Refusals: none; FORBIDDEN for a scope that the calling key has not itself.
 * A retry creates another key: the text of the first one is shown once, and may have been lost.
 * Events: none.
 */
export async function createSecretKey(
  deps: Deps,
  wish: {
    caller: Caller;
    programId?: string | null;
    name?: string | null;
    scopes: readonly Scope[];
  },
): Promise<{ key: SecretKey; secretKey: string }> {
  const scopes = [...new Set(wish.scopes)];
  if (scopes.length === 0) throw badInput('scopes', 'at least one scope');
  const name = parse(z.nullable(text(100)), wish.name ?? null, 'name');
  const programId = await programOf(deps, wish);
  assertNoMoreThanOwn(wish.caller, scopes);
  const key = newSecretKey(deps, { programId, name, scopes });
  return { key: await deps.db.secretKey.create({ data: key.row }), secretKey: key.text };
}

/** Its row, and its text, which is nowhere else and cannot be had again. */
export function newSecretKey(deps: Deps, { programId, name, scopes }: Wish) {
  const text = makeKeyText(deps.random, programId);
  const hash = (readKeyText(text) as { hash: Buffer }).hash;
  const row = {
    programId,
    id: newId<SecretKeyId>(deps),
    name,
    hash: new Uint8Array(hash),
    lastFour: text.slice(-4),
    scopes,
    createdAt: deps.clock.now(),
  };
  return { text, row };
}

/** A key's own program, whatever it says; of the root key, the one it names. */
async function programOf(
  deps: Deps,
  { caller, programId }: { caller: Caller; programId?: string | null },
): Promise<ProgramId> {
  if (programId == null && caller.kind === 'root')
    throw badInput('programId', 'the id of a program: the root key has none of its own');
  const own = caller.kind === 'root' ? undefined : caller.programId;
  const named = programId == null ? own : parseId<ProgramId>(programId);
  const foreign = own !== undefined && named !== own;
  const known = named && !foreign && (await deps.db.program.count({ where: { id: named } })) === 1;
  if (!named || !known) throw notFound('programId', 'program');
  return named;
}

function assertNoMoreThanOwn(caller: Caller, scopes: Scope[]): void {
  if (caller.kind === 'root') return;
  const own: ReadonlySet<Scope> = caller.kind === 'key' ? caller.scopes : new Set();
  const missing = scopes.find((scope) => !own.has(scope));
  if (missing) throw new Mistake('FORBIDDEN', `scopes: the calling key itself lacks ${missing}`);
}
