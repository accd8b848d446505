/** What the server wrote into this page when it was asked for. */
import type { Values } from './filling.ts';

export type Page = {
  /** The sandbox's key, where the server fills it in. */
  key?: string;
  /** What the server knows to fill into the variables. */
  values?: Values;
};

export function readPage(): Page {
  return JSON.parse(document.getElementById('page')?.textContent || '{}') as Page;
}

const HINT = '<paste a key or a member token>';

export const headersFor = (key = HINT) => ({ Authorization: `Bearer ${key}` });

/** Whether a credential has been put where the hint was. */
export function hasCredential(headers: Record<string, unknown> | undefined): boolean {
  const name = Object.keys(headers ?? {}).find((key) => key.toLowerCase() === 'authorization');
  const value = name === undefined ? undefined : headers?.[name];
  return typeof value === 'string' && /^bearer +[^\s<]/i.test(value);
}
