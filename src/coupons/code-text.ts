import type { Random } from '../kernel/crypto.ts';
import { ALPHABET, BODY_LENGTH, canonicalForm, checkCharacter } from './canonical.ts';

const GROUP = 4;
const MASKED_WHOLE = 8;

/**
 * `count` fresh code texts, such as `PCT-7K2M-9QXA-40HT-ZB5E`. Each of the 15 random characters is
 * five bits of a random byte: 32 divides 256, so no character is likelier than another. The mask
 * shows the last two characters, one random and the check: 70 bits stay hidden, of which the check
 * tells five.
 */
export function drawTexts(random: Random, draw: { prefix: string; count: number }): string[] {
  const length = BODY_LENGTH - 1;
  const bytes = random.bytes(draw.count * length);
  return Array.from({ length: draw.count }, (_, i) => {
    let body = '';
    for (let j = 0; j < length; j++) body += ALPHABET[(bytes[i * length + j] as number) & 31];
    return draw.prefix + grouped(body + checkCharacter(body));
  });
}

function grouped(body: string): string {
  let text = body.slice(0, GROUP);
  for (let at = GROUP; at < body.length; at += GROUP) text += `-${body.slice(at, at + GROUP)}`;
  return text;
}

/**
 * `PCT-••••2A`: the prefix of the pool and the last two characters of the canonical form; of a code
 * that is so short that they would be much of it, nothing.
 */
export function mask(text: string, prefix: string): string {
  const characters = [...canonicalForm(text)];
  return `${prefix}••••${characters.length < MASKED_WHOLE ? '' : characters.slice(-2).join('')}`;
}
