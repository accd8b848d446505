import { type Actor, revealCodes } from '../coupons/index.ts';
import type { Deps } from '../deps.ts';
import { csvRecord, isFormula } from '../kernel/csv.ts';
import { isBusy } from '../kernel/errors.ts';
import { type Holder, readHolders } from './sql/held-codes.ts';
import type { CampaignRef } from './types.ts';

// Recipients of one transaction, and of one piece of the file.
const PAGE = 500;
const ATTEMPTS = 5;
const HEADINGS = [
  'email',
  'email_verified',
  'member_id',
  'external_id',
  'recipient_id',
  'code',
  'status',
];

type Export = CampaignRef & { actor: Actor };

/**
 * The recipients who have a code, with its text, as the records of a CSV file: piece by piece, each
 * when it is asked for, so that a million take no more memory than a page. Each text is recorded as
 * revealed before it is given. A code that was revoked is left out, and one whose owner has left
 * the address it would be sent to.
 */
export async function* exportCodes(deps: Deps, of: Export): AsyncGenerator<string> {
  yield csvRecord(HEADINGS);
  let after: string | undefined;
  do {
    const page: Page = await nextPage(deps, { ...of, after });
    if (page.text !== '') yield page.text;
    after = page.last;
  } while (after !== undefined);
}

type Page = { text: string; last: string | undefined };
type PageOf = Export & { after: string | undefined };

/** A code that goes back to its pool while it is read is somebody else's: the page is read anew. */
async function nextPage(deps: Deps, of: PageOf): Promise<Page> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readPage(deps, of);
    } catch (error) {
      if (!isBusy(error) || attempt === ATTEMPTS) throw error;
    }
  }
}

async function readPage(deps: Deps, { after, actor, ...ref }: PageOf): Promise<Page> {
  const holders = await readHolders(deps, { ...ref, after: after ?? null, limit: PAGE });
  const codes = [...new Map(holders.map(({ code }) => [code.id, code])).values()];
  const { programId } = ref;
  const texts = await revealCodes(deps, { programId, codes, actor, kind: 'EXPORT' });
  const textOf = new Map(codes.map(({ id }, i) => [id, texts[i] as string]));
  const records = holders.map((holder) => recordOf(holder, textOf.get(holder.code.id) as string));
  const last = holders.length < PAGE ? undefined : holders.at(-1)?.recipientId;
  return { text: records.join(''), last };
}

function recordOf({ recipientId, named, code, member }: Holder, text: string): string {
  return csvRecord([
    asText(named ?? member?.email ?? ''),
    member?.email ? String(member.emailVerified) : '',
    member?.id ?? '',
    asText(member?.externalId ?? ''),
    recipientId,
    // A space does not count in a code, so it stays one that can be redeemed.
    isFormula(text) ? ` ${text}` : text,
    code.status,
  ]);
}

/** What customers could write is never a formula. */
const asText = (cell: string): string => (isFormula(cell) ? `'${cell}` : cell);
