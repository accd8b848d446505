import { awardPoints as award } from './award-points.ts';
import { ledgerMetrics } from './metrics.ts';

/** The same command, with what it withholds counted. */
export const awardPoints: typeof award = async (...asked) => {
  const answer = await award(...asked);
  if (!answer.ok && answer.reason === 'CAP_TRACKER_UNAVAILABLE')
    ledgerMetrics(asked[0]).withheld.inc();
  return answer;
};
