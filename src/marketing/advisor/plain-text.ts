/**
 * Text that came from elsewhere, as it may be shown: letters, digits and the punctuation of a
 * sentence. Whatever a page, a mail program or a terminal might act on is taken out, not escaped,
 * because nobody knows where it will be shown.
 */

// What stands further back would be cut off anyway, and patterns take long over long words.
const MAX_READ = 500;
// Zero-width and bidirectional characters hide or turn around what is read: gone without a trace.
const INVISIBLE = /[\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;
// A third mark over one letter begins to cover the lines above.
const PILED_UP = /(\p{M}{2})\p{M}+/gu;
const CUT_OUT = [
  /<[^>]*>/g, // tags
  /\S*(:\/\/|\\\\)\S*/g, // addresses of whatever scheme, and network paths
  /\S*@\S*/g, // e-mail addresses and handles
  /\S*\.[\p{L}\p{M}]{2}\S*/gu, // names of hosts, which are made into links too
  /[\p{L}\p{M}\p{N}+.-]*:(?=\S)/gu, // javascript:, mailto:, tel:
  /&#?\w+;/g, // entities
  /[^\p{L}\p{M}\p{N}\p{Sc} .,;!?:’„“”%+()–—-]/gu,
];

/**
 * At most `max` characters, cut between words where there are several. Empty: there is no letter
 * and no number left that could be read.
 */
export function plainText(text: string, max: number): string {
  const read = text.slice(0, MAX_READ).replace(INVISIBLE, '');
  // One character may become eighteen.
  let plain = read.normalize('NFKC').slice(0, MAX_READ);
  plain = plain.replace(PILED_UP, '$1').replaceAll('٪', '%');
  plain = plain.replaceAll("'", '’'); // the one that ends no attribute
  for (const pattern of CUT_OUT) plain = plain.replace(pattern, ' ');
  plain = shorten(plain.replace(/\s+/g, ' ').trim(), max);
  return /[\p{L}\p{N}]/u.test(plain) ? plain : '';
}

function shorten(text: string, max: number): string {
  const characters = [...text];
  if (characters.length <= max) return text;
  const cut = characters.slice(0, max).join('');
  const space = cut.lastIndexOf(' ');
  return (space > 0 ? cut.slice(0, space) : cut).trimEnd();
}
