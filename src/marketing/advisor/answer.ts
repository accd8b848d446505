/** The form in which the model is to answer, and what is made of an answer. */
import { z } from 'zod';
import type { Proposal } from '../types.ts';
import { fitted, isRun, type Limits, MAX_TITLE, type Wish } from './limits.ts';
import { plainText } from './plain-text.ts';

export const MAX_SUGGESTIONS = 5;

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
const envelope = z.object({ suggestions: z.array(z.unknown()) });

export type Judged = { proposals: Proposal[]; said: number };

/** Undefined: not an answer, or nothing in it that could be used. Never throws. */
export function judge(content: string, limits: Limits): Judged | undefined {
  const parsed = envelope.safeParse(readJson(content));
  if (!parsed.success) return undefined;
  const { suggestions } = parsed.data;
  const proposals: Proposal[] = [];
  for (const one of suggestions.slice(0, MAX_SUGGESTIONS)) {
    const proposal = judgeOne(one, limits);
    if (proposal && !proposals.some((other) => isSame(other, proposal))) proposals.push(proposal);
  }
  return proposals.length === 0 ? undefined : { proposals, said: suggestions.length };
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

function judgeOne(said: unknown, limits: Limits): Proposal | undefined {
  const parsed = heard.safeParse(said);
  if (!parsed.success) return undefined;
  const { data } = parsed;
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
  if (!proposal || isRun(proposal.draft, limits)) return undefined;
  return promisesMore(wish, proposal, limits) ? renamed(proposal) : proposal;
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

/** The words would still say what the numbers no longer do. */
function promisesMore(wish: Wish, proposal: Proposal, { maxDiscountRate }: Limits): boolean {
  if (Math.trunc(wish.draft.discountValue) > proposal.draft.discountValue) return true;
  const words = `${proposal.title} ${proposal.draft.name}`;
  const rates = [...words.matchAll(/(\d+)(?:[.,]\d+)?\s*(?:%|per ?cent)/gi)];
  return rates.some(([, rate]) => Number(rate) * 100 > maxDiscountRate);
}

const KINDS = { PERCENT: 'A percentage off', AMOUNT: 'An amount off', GIFT: 'A gift' };

function renamed(proposal: Proposal): Proposal {
  const title = KINDS[proposal.draft.discountKind];
  return {
    ...proposal,
    title,
    rationale: 'The language model proposed more than the program allows; this is what it allows.',
    draft: { ...proposal.draft, name: plainText(`${title}: ${proposal.segment}`, MAX_TITLE) },
  };
}
