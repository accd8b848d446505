/** The project's own text, for the checks of its style. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

export type Source = { file: string; text: string; lines: string[] };

/** What git knows or would add; a file that has been removed and not yet committed is not there. */
export function sources(...endings: string[]): Source[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
    encoding: 'utf8',
  });
  return listed
    .split('\n')
    .filter((file) => endings.some((ending) => file.endsWith(ending)) && existsSync(file))
    .map((file) => {
      const text = readFileSync(file, 'utf8');
      return { file, text, lines: text.split('\n') };
    });
}

export const under = (folder: string) => (source: Source) => source.file.startsWith(folder);

/** `file:line` of every line that matches; comments count too, unless `code` is asked for. */
export function linesWith(list: Source[], pattern: RegExp, only: 'all' | 'code' = 'all'): string[] {
  return list.flatMap(({ file, lines }) =>
    lines.flatMap((line, index) => {
      const text = only === 'code' ? line.replace(/(^|\s)(\/\/|--|\*).*$/, '') : line;
      return pattern.test(text) ? [`${file}:${index + 1}`] : [];
    }),
  );
}

/** The files of the project that a file imports, types included. */
export function importsOf({ file, text }: Source): string[] {
  const specifiers = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((m) => m[1] ?? '');
  return specifiers.map((specifier) => path.posix.join(path.posix.dirname(file), specifier));
}
