import type { AdvisorModel } from '../config.ts';
import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { getProgram, type Program } from '../programs/index.ts';
import { type Judged, judge } from './advisor/answer.ts';
import { askModel, FAILURES, type Failure } from './advisor/ask-model.ts';
import type { Limits } from './advisor/limits.ts';
import { promptOf } from './advisor/prompt.ts';
import { applyRules } from './advisor/rules.ts';
import { sealDraft } from './advisor/sealed-draft.ts';
import { couponFacts } from './queries.ts';
import { readCalendar } from './sql/calendar.ts';
import type { Proposal, Report } from './types.ts';

type Spoken = Pick<Report, 'source' | 'reason'> & { proposals: Proposal[] };

/**
 * Facts, and offers that fill their gaps: by the language model within the program's limits, or by
 * rules over the same facts when there is none, or it is of no use within its ten seconds.
 *
 * Locks: none.
 * Refusals: none.
 * A retry asks the model anew; the rules say the same for the same data.
 * Events: none.
 */
export async function couponAdvisor(
  deps: Deps,
  { programId }: { programId: ProgramId },
): Promise<Report> {
  const { advisor } = deps.config;
  // From now on: the facts are a part of the time that a report may take.
  const model = advisor && { ...advisor, patience: AbortSignal.timeout(advisor.patienceMs) };
  const [program, facts, calendar] = await Promise.all([
    getProgram(deps, { programId }),
    couponFacts(deps, { programId }),
    readCalendar(deps, { programId }),
  ]);
  const { maxDiscountRate } = program;
  const limits = { facts, ...calendar, maxDiscountRate };
  const { source, reason, proposals } = await speak(deps, { program, limits, model });
  const suggestions = proposals.map((proposal) => ({
    id: sealDraft(deps, { programId, draft: proposal.draft }),
    ...proposal,
  }));
  return { source, reason, facts, suggestions };
}

type Speaking = {
  program: Program;
  limits: Limits;
  model: (AdvisorModel & { patience: AbortSignal }) | undefined;
};

async function speak(deps: Deps, { program, limits, model }: Speaking): Promise<Spoken> {
  if (!model) return byRules(limits, 'UNSET');
  const messages = promptOf(program, limits);
  const heard = await askModel(model, { messages, signal: model.patience });
  const judged = 'content' in heard ? judge(heard.content, limits, model) : undefined;
  if (judged) return { source: 'MODEL', reason: unlike(judged), proposals: judged.proposals };
  const failure = 'failure' in heard ? heard.failure : 'INVALID';
  deps.log.warn({ failure }, 'the language model was of no use to the advisor');
  return byRules(limits, failure);
}

const byRules = (limits: Limits, failure: Failure): Spoken => ({
  source: 'RULES',
  reason: FAILURES[failure],
  proposals: applyRules(limits),
});

/** How much of what was said is not in the report, or is not there as it was said. */
function unlike({ proposals, said, changed }: Judged): string | null {
  const left = said - proposals.length;
  const told = [
    left > 0 && `${left} of its ${said} suggestions could not be used.`,
    changed > 0 && `${changed} of its ${said} suggestions had to be brought within the limits.`,
  ];
  return told.filter(Boolean).join(' ') || null;
}
