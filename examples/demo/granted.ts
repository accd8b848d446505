/** A refusal ends the demo: nothing in it is asked for that must not be granted. */
import { ApiError, insist } from './api.ts';
import type { Refusal } from './operations.ts';

type Answered<Answer> = Exclude<Answer, Refusal>;

/** What says of itself that it may succeed later is asked for again. */
export function granted<Answer extends { __typename: string }>(
  what: string,
  ask: () => Promise<Answer>,
): Promise<Answered<Answer>> {
  return insist(async () => {
    const answer = await ask();
    if (!isRefusal(answer)) return answer as Answered<Answer>;
    const { reason, message, retryable } = answer;
    const said = `${what} was refused, ${reason}: ${message}`;
    throw retryable ? new ApiError('SERVICE_UNAVAILABLE', said) : new Error(said);
  });
}

const isRefusal = (answer: { __typename: string }): answer is Refusal =>
  answer.__typename === 'Refusal';
