/** The form in which the model is to answer, and what is made of an answer. */
import { z } from 'zod';
import type { Proposal } from '../types.ts';
import { fitted, isRun, type Limits, MAX_TITLE, type Wish } from './limits.ts';
import { plainText } from './plain-text.ts';
import { saysMore } from './stated.ts';

export const MAX_SUGGESTIONS = 5;
/** Of what was said: more is not even looked at. */
const MOST_HEARD = 20;

const draft = z.object({
  name: z.string(),
  discountKind: z.enum(['PERCENT', 'AMOUNT', 'GIFT']),
  discountValue: z.number(),
  maxDiscount: z.number().nullable(),
  minOrderAmount: z.number(),
  endsAt: z.string().nullable(),
  perMemberLimit: z.number(),
  suggestedCount: z.number(),
});
const suggestion = z.object({
  title: z.string(),
  rationale: z.string(),
  segment: z.string(),
  draft,
});

const { $schema: _, ...schema } = z.toJSONSchema(z.object({ suggestions: z.array(suggestion) }));

/** Told to the server, which holds the model to it: everything is there, only two may be null. */
export const answerFormat = {
  type: 'json_schema',
  json_schema: {
    name: 'suggestions',
    strict: true,
    schema,
  },
};

// Heard with more patience than told: not every server holds its model to the form.
const heard = suggestion.extend({
  draft: draft.partial({
    name: true,
    maxDiscount: true,
    minOrderAmount: true,
    endsAt: true,
    perMemberLimit: true,
    suggestedCount: true,
  }),
});
type Heard = z.infer<typeof heard>;
const envelope = z.object({ suggestions: z.array(z.unknown()) });

/** How many were said, and how many of the proposals are not as they were said. */
export type Judged = { proposals: Proposal[]; said: number; changed: number };
type Judging = { key?: string | undefined };

/**
 * Undefined: not an answer, or nothing in it that could be used. A suggestion that repeats `key` is
 * of no use. Never throws.
 */
export function judge(content: string, limits: Limits, { key }: Judging = {}): Judged | undefined {
  const parsed = envelope.safeParse(readJson(content));
  if (!parsed.success) return undefined;
  const { suggestions } = parsed.data;
  const proposals: Proposal[] = [];
  let changed = 0;
  for (const one of suggestions.slice(0, MOST_HEARD)) {
    if (proposals.length === MAX_SUGGESTIONS) break;
    const data = heard.safeParse(one).data;
    const proposal = data && !repeats(data, key) ? judgeOne(data, limits) : undefined;
    if (!data || !proposal || proposals.some((other) => isSame(other, proposal))) continue;
    const worded = inOwnWords(proposal, data, limits);
    proposals.push(worded);
    if (worded !== proposal || !stands(data, proposal)) changed++;
  }
  return proposals.length === 0 ? undefined : { proposals, said: suggestions.length, changed };
}

/** Fewer letters may well be a word that somebody took for a key. */
const SHORTEST_KEY = 8;
const letters = (text: string) =>
  text
    .normalize('NFKC')
    .replace(/[^\p{L}\p{N}]/gu, '')
    .toLowerCase();

/** However it is written: what is between the letters would be cleaned away. */
function repeats({ title, rationale, draft: { name } }: Heard, key: string | undefined): boolean {
  const secret = letters(key ?? '');
  return (
    secret.length >= SHORTEST_KEY && letters(title + rationale + (name ?? '')).includes(secret)
  );
}

/** Some models think aloud before, or put a fence around it: the object is what counts. */
function readJson(content: string): unknown {
  const said = content.slice(content.lastIndexOf('</think>') + 1);
  try {
    return JSON.parse(said.slice(said.indexOf('{'), said.lastIndexOf('}') + 1));
  } catch {
    return undefined;
  }
}

function judgeOne(data: Heard, limits: Limits): Proposal | undefined {
  const wish: Wish = {
    ...data,
    draft: {
      name: data.draft.name ?? data.title,
      discountKind: data.draft.discountKind,
      discountValue: data.draft.discountValue,
      maxDiscount: data.draft.maxDiscount ?? null,
      minOrderAmount: data.draft.minOrderAmount ?? 0,
      endsAt: readInstant(data.draft.endsAt ?? ''),
      perMemberLimit: data.draft.perMemberLimit ?? null,
      suggestedCount: data.draft.suggestedCount ?? null,
    },
  };
  const proposal = fitted(wish, limits);
  return proposal && !isRun(proposal.draft, limits) ? proposal : undefined;
}

/** Whether the numbers are those that were said; one that was left out may be any. */
function stands({ draft: { name: _, endsAt, ...said } }: Heard, { draft }: Proposal): boolean {
  const isSaid = ([field, value]: [string, unknown]) =>
    value === undefined || value === draft[field as keyof typeof said];
  const end = endsAt == null ? draft.endsAt : readInstant(endsAt);
  return Object.entries(said).every(isSaid) && end?.getTime() === draft.endsAt.getTime();
}

const INSTANT = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

/** Null for a date that does not exist, such as 30 February, which JavaScript would move. */
function readInstant(text: string): Date | null {
  const [, day = ''] = INSTANT.exec(text) ?? [];
  const midnight = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(day)) return null;
  const instant = new Date(text);
  return Number.isNaN(instant.getTime()) ? null : instant;
}

const isSame = (a: Proposal, b: Proposal): boolean =>
  a.segment === b.segment &&
  a.draft.discountKind === b.draft.discountKind &&
  a.draft.discountValue === b.draft.discountValue &&
  a.draft.minOrderAmount === b.draft.minOrderAmount;

const KINDS = { PERCENT: 'A percentage off', AMOUNT: 'An amount off', GIFT: 'A gift' };
const RATIONALE = 'The language model’s own words did not fit this offer, and are left out.';

/** The words stay, unless they say what the numbers do not, or were made for other numbers. */
function inOwnWords(proposal: Proposal, { draft: said }: Heard, { money }: Limits): Proposal {
  const { draft, rationale } = proposal;
  const isMore = (text: string) => saysMore(text, { draft, money });
  const isOther = Math.trunc(said.discountValue) !== draft.discountValue;
  if (isOther || isMore(proposal.title) || isMore(draft.name)) return renamed(proposal);
  return isMore(rationale) ? { ...proposal, rationale: RATIONALE } : proposal;
}

function renamed(proposal: Proposal): Proposal {
  const title = KINDS[proposal.draft.discountKind];
  const name = plainText(`${title}: ${proposal.segment}`, MAX_TITLE);
  return { ...proposal, title, rationale: RATIONALE, draft: { ...proposal.draft, name } };
}
