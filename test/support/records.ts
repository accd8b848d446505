/**
 * What the whole run made and wrote: the text of every code, every log line, every error that a
 * client was told. When the run ends, none of the first may stand in any of the others.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { canonicalForm } from '../../src/coupons/canonical.ts';

export type Kind = 'codes' | 'log' | 'errors';

const folderOf = (home: string) => path.join(home, 'records');

export async function forgetRecords(home: string): Promise<void> {
  await rm(folderOf(home), { recursive: true, force: true });
  await mkdir(folderOf(home), { recursive: true });
}

/** One file for each process, so that workers do not write into each other's lines. */
export function record(home: string, of: { kind: Kind; text: string }): void {
  mkdirSync(folderOf(home), { recursive: true });
  appendFileSync(path.join(folderOf(home), `${of.kind}.${process.pid}`), of.text);
}

async function recorded(home: string, kind: Kind): Promise<string> {
  const files = (await readdir(folderOf(home))).filter((file) => file.startsWith(`${kind}.`));
  const texts = files.map((file) => readFile(path.join(folderOf(home), file), 'utf8'));
  return (await Promise.all(texts)).join('\n');
}

// Imported codes can be as short as a word; those that could stand anywhere by chance are left out.
export const MIN_TELLING_LENGTH = 10;

/** What in a text could be a code, in the one form in which codes are compared. */
export function candidates(text: string): Set<string> {
  const words = text.match(/[\p{L}\p{N}][\p{L}\p{N}\- ]{8,}/gu) ?? [];
  const dashed = words.flatMap((word) => word.split(' '));
  return new Set(dashed.filter((word) => word.length >= MIN_TELLING_LENGTH).map(canonicalForm));
}

/** Throws, and so fails the run, when a log line or an error holds a code, an address or a key. */
export async function assertSilent(home: string): Promise<void> {
  const codes = new Set((await recorded(home, 'codes')).split('\n').filter(Boolean));
  for (const kind of ['log', 'errors'] as const) {
    const text = await recorded(home, kind);
    const told = [...candidates(text)].filter((word) => codes.has(word));
    if (told.length > 0) throw new Error(`${told.length} codes stand in the ${kind} of this run`);
    const personal = /[\w.+-]+@[\w-]+\.\w+|flash_sk_[0-9a-f]{32}_|eyJ[\w-]+\.eyJ/.exec(text);
    if (personal) throw new Error(`an address, a key or a token stands in the ${kind} of this run`);
  }
}
