import { expect, test } from 'vitest';
import { importsOf, type Source, sources, under } from './source.ts';

const src = sources('.ts').filter(under('src/'));
const ROOMS = ['programs', 'members', 'coupons', 'loyalty', 'webhooks', 'marketing'];

/** What each part may see of the others. Whatever is not here may be seen by nobody. */
const MAY_SEE: Record<string, string[]> = {
  kernel: [],
  programs: ['kernel'],
  members: ['kernel', 'programs'],
  coupons: ['kernel', 'programs', 'members'],
  loyalty: ['kernel', 'programs', 'members'],
  webhooks: ['kernel', 'programs'],
  marketing: ['kernel', 'programs', 'members', 'coupons', 'loyalty'],
  workers: ['kernel', ...ROOMS],
  graphql: ['kernel', 'http', 'workers', ...ROOMS],
  http: ['kernel', ...ROOMS],
  embedded: ['kernel'],
};

const partOf = (file: string): string => {
  const [, part = '', more] = file.split('/');
  return more === undefined ? '' : part;
};

function illegal(source: Source): string[] {
  const from = partOf(source.file);
  return importsOf(source).flatMap((file) => {
    const to = partOf(file);
    // The processes at the top compose everything; Deps and Config are what everybody is given.
    if (from === '' || to === '' || to === from || to === 'generated') return [];
    return MAY_SEE[from]?.includes(to) ? [] : [`${source.file} -> ${file}`];
  });
}

test('imports go one way: rooms never see each other but downwards', () => {
  expect(src.flatMap(illegal)).toEqual([]);
});

test('a room is entered by its door', () => {
  const through = src.flatMap((source) =>
    importsOf(source)
      .filter((file) => ROOMS.includes(partOf(file)) && partOf(file) !== partOf(source.file))
      .filter((file) => !file.endsWith('/index.ts'))
      .map((file) => `${source.file} -> ${file}`),
  );
  expect(through).toEqual([]);
});

test('Deps and Config are imported as types only, but for the processes', () => {
  const values = src
    .filter((source) => partOf(source.file) !== '')
    .filter(({ text }) => /^import (?!type)[^;]*'\.\.\/(deps)\.ts'/m.test(text));
  expect(values.map(({ file }) => file)).toEqual([]);
});

test('the web imports nothing from the engine', () => {
  const web = sources('.ts', '.tsx').filter(under('web/'));
  const reaching = web.filter((source) =>
    importsOf(source).some((file) => file.startsWith('src/')),
  );
  expect(reaching.map(({ file }) => file)).toEqual([]);
});

test('every room has its furniture: promises, a door, types', () => {
  const rooms = ROOMS.filter((room) => src.some(under(`src/${room}/`)));
  expect(rooms.length).toBeGreaterThan(0);
  const files = new Set(sources('.ts', '.md').map(({ file }) => file));
  const missing = rooms.flatMap((room) =>
    ['README.md', 'index.ts', 'types.ts', 'queries.ts']
      .map((name) => `src/${room}/${name}`)
      .filter((file) => !files.has(file)),
  );
  expect(missing).toEqual([]);
});
