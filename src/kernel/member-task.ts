import type { Deps } from '../deps.ts';
import type { WorkerTask } from '../generated/prisma/client.ts';
import type { MemberId, ProgramId } from './ids.ts';

/** A member for whom something is due, and where the next page begins if it is the last of one. */
export type DueMember = { memberId: MemberId; cursor: string };

/** A part of the daily work that is done member by member. `day`: a local date, YYYY-MM-DD. */
export type MemberTask = {
  task: WorkerTask;
  /** In a fixed order, by an index: where nothing is due, nothing is read. `after`: a cursor. */
  due(
    deps: Deps,
    of: { programId: ProgramId; day: string; after: string | undefined; limit: number },
  ): Promise<DueMember[]>;
  /**
   * Left out: what is due stays due until it is done. Otherwise it is due on one day only, and this
   * says whether the program has such days at all.
   */
  hasDays?(deps: Deps, of: { programId: ProgramId }): Promise<boolean>;
  /**
   * One transaction for all of them, under their locks, which are taken first and in their order;
   * whether something is due is judged again there, so that a second time changes nothing. Answers
   * for how many something changed.
   */
  work(
    deps: Deps,
    of: { programId: ProgramId; day: string; memberIds: readonly string[] },
  ): Promise<number>;
};
