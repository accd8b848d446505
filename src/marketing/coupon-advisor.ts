import type { AdvisorModel } from '../config.ts';
import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { type Judged, judge } from './advisor/answer.ts';
import { askModel, FAILURES, type Failure } from './advisor/ask-model.ts';
import { promptOf } from './advisor/prompt.ts';
import { applyRules } from './advisor/rules.ts';
import { sealDraft } from './advisor/sealed-draft.ts';
import { type Ground, readGround } from './read-ground.ts';
import type { Proposal, Report } from './types.ts';

type Spoken = Pick<Report, 'source' | 'reason'> & { proposals: Proposal[] };
type Model = AdvisorModel & { patience: AbortSignal };
type Asking = { ground: Ground; model: Model };

const LATE = {
  NONE: 'The facts could not be read in time.',
  OLDER: 'The facts could not be read in time; these are the last ones that were.',
};

/**
 * Facts, and offers that fill their gaps: by the language model within the program's limits, or by
 * rules over the same facts when there is none, or it is of no use in time.
 *
 * Locks: none.
 * Refusals: none; SERVICE_UNAVAILABLE when not even the program itself can be read.
 * A retry asks the model anew; the rules say the same for the same data.
 * Events: none.
 */
export async function couponAdvisor(
  deps: Deps,
  { programId }: { programId: ProgramId },
): Promise<Report> {
  const { advisor, advisorPatienceMs } = deps.config;
  // From now on: the facts are a part of the time that a report may take.
  const patience = AbortSignal.timeout(advisorPatienceMs);
  const ground = await readGround(deps, { programId, patienceMs: advisorPatienceMs });
  const { source, reason, proposals } = await speak(deps, {
    ground,
    model: advisor && { ...advisor, patience },
  });
  const suggestions = proposals.map((proposal) => ({
    id: sealDraft(deps, { programId, draft: proposal.draft }),
    ...proposal,
  }));
  return { source, reason, facts: ground.limits.facts, suggestions };
}

/** A model that is told nothing has nothing to say: without facts the rules speak. */
async function speak(deps: Deps, of: { ground: Ground; model: Model | undefined }) {
  const { ground, model } = of;
  if (ground.facts === 'NONE') return byRules(ground, LATE.NONE);
  const spoken = model
    ? await askAndJudge(deps, { ground, model })
    : byRules(ground, FAILURES.UNSET);
  if (ground.facts === 'FRESH') return spoken;
  return { ...spoken, reason: [LATE.OLDER, spoken.reason ?? []].flat().join(' ') };
}

async function askAndJudge(deps: Deps, { ground, model }: Asking): Promise<Spoken> {
  const { limits } = ground;
  const messages = promptOf(limits);
  const heard = await askModel(model, { messages, signal: model.patience });
  const judged = 'content' in heard ? judge(heard.content, limits, model) : undefined;
  if (judged) return { source: 'MODEL', reason: unlike(judged), proposals: judged.proposals };
  const failure: Failure = 'failure' in heard ? heard.failure : 'INVALID';
  deps.log.warn({ failure }, 'the language model was of no use to the advisor');
  return byRules(ground, FAILURES[failure]);
}

const byRules = ({ limits }: Ground, reason: string): Spoken => ({
  source: 'RULES',
  reason,
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
