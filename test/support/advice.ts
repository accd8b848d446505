/** What every report must be, whoever spoke and whatever was said. */
import { createPool } from '../../src/coupons/index.ts';
import type { Deps } from '../../src/deps.ts';
import type { ProgramId } from '../../src/kernel/ids.ts';
import type { Facts, Proposal, Report } from '../../src/marketing/index.ts';
import { adoptSuggestion } from '../../src/marketing/index.ts';

const DAY = 86_400_000;
const PLAIN = /^[\p{L}\p{M}\p{N}\p{Sc} .,;!?:’„“”%+()–—-]+$/u;
const NOTHING_TO_READ = /^[^\p{L}\p{N}]*$|\p{M}{3}|\p{Default_Ignorable_Code_Point}/u;
const LINK = /:\/\/|www\.|@|[\p{L}\p{N}]\.[\p{L}]{2}|\w:\S/iu;

export type Within = { facts: Facts; now: Date; maxDiscountRate: number };

/** Written from the promises in docs/advisor.md, apart from the code that keeps them. */
export function problemsOf(proposals: readonly Proposal[], within: Within): string[] {
  const problems = proposals.flatMap((one) => problemsOfOne(one, within));
  if (proposals.length < 1 || proposals.length > 5) problems.push(`${proposals.length} of them`);
  return problems;
}

function problemsOfOne({ title, rationale, segment, draft }: Proposal, within: Within): string[] {
  const { facts, now, maxDiscountRate: rate } = within;
  const { discountKind: kind, discountValue: value, minOrderAmount, suggestedCount } = draft;
  const audience = facts.segments.find(({ name }) => name === segment);
  const most = Math.max((audience?.members ?? 0) * draft.perMemberLimit, 100);
  const average = facts.averageOrder ?? 0;
  const whole = (number: number, [from, to]: [number, number]) =>
    Number.isSafeInteger(number) && number >= from && number <= to;
  const plain = (text: string, max: number) =>
    [...text].length <= max &&
    PLAIN.test(text) &&
    !NOTHING_TO_READ.test(text) &&
    !LINK.test(text) &&
    text === text.trim();
  const days = (draft.endsAt.getTime() - now.getTime()) / DAY;
  const checks: Record<string, boolean> = {
    title: plain(title, 80),
    words: [title, rationale, draft.name].every((text) => promisesNoMore(text, draft)),
    rationale: plain(rationale, 300),
    name: plain(draft.name, 80),
    segment: audience !== undefined,
    kind: ['PERCENT', 'AMOUNT', 'GIFT'].includes(kind),
    percent: kind !== 'PERCENT' || whole(value, [1, rate]),
    amount: kind !== 'AMOUNT' || whole(value, [1, Math.floor((average * rate) / 10_000)]),
    'amount of every order': kind !== 'AMOUNT' || value * 10_000 <= minOrderAmount * rate,
    gift: kind !== 'GIFT' || value === 0,
    maxDiscount:
      draft.maxDiscount === null || (kind === 'PERCENT' && whole(draft.maxDiscount, [1, 1e12])),
    minOrderAmount: whole(minOrderAmount, [0, Math.min(10 * average || 1e12, 1e12)]),
    endsAt: days >= 1 && days <= 365,
    perMemberLimit: whole(draft.perMemberLimit, [1, 10]),
    suggestedCount: whole(suggestedCount, [1, Math.min(most, 1_000_000)]),
  };
  return Object.entries(checks).flatMap(([name, holds]) =>
    holds ? [] : [`${name} of ${JSON.stringify({ title, rationale, segment, draft })}`],
  );
}

/** Rates and euros, the commonest ways to write them; those of a draft are in hundredths. */
function promisesNoMore(text: string, draft: Proposal['draft']): boolean {
  const isPercent = draft.discountKind === 'PERCENT';
  const most = (allowed: number) => (number: string) =>
    Number(number.replace(',', '.')) * 100 <= allowed;
  const rates = /([\p{Nd}.,]+)\s*(?:%|percent|Prozent)|%\s*([\p{Nd}.,]+)/gu;
  const euros = /([\p{Nd}.,]+)\s*€|€\s*([\p{Nd}.,]+)/gu;
  const said = (pattern: RegExp) =>
    [...text.matchAll(pattern)].map(([, before, behind]) => before ?? behind ?? '');
  const value = draft.discountKind === 'AMOUNT' ? draft.discountValue : (draft.maxDiscount ?? 0);
  return (
    said(rates).every(most(isPercent ? draft.discountValue : 0)) &&
    said(euros).every(most(Math.max(value, draft.minOrderAmount)))
  );
}

/** The same of a report; and each of its suggestions can be adopted, and made a pool. */
export async function problemsOfReport(
  deps: Deps,
  { programId, report }: { programId: ProgramId; report: Report },
): Promise<string[]> {
  const program = await deps.db.program.findUniqueOrThrow({ where: { id: programId } });
  const now = program.clock as Date;
  const { maxDiscountRate } = program;
  const problems = problemsOf(report.suggestions, { facts: report.facts, now, maxDiscountRate });
  for (const { id, draft } of report.suggestions) {
    const adopted = await adoptSuggestion(deps, { programId, id });
    if (JSON.stringify(adopted) !== JSON.stringify(draft)) problems.push('another draft');
    const { suggestedCount: _, ...pool } = adopted;
    await createPool(deps, {
      programId,
      input: { ...pool, exhaustion: 'REFUSE', stackable: false },
    });
  }
  return problems;
}
