/**
 * Whom a task failed for. A member stops at the first day that fails, one open failure for each
 * task, and is caught up day by day once that day succeeds. What a task does that is nobody's in
 * particular fails without a member, and is done again as a whole.
 */
import type { Deps } from '../deps.ts';
import type { WorkerFailure, WorkerTask } from '../generated/prisma/client.ts';
import { constraintOf, errorCode, inTransaction } from '../kernel/db.ts';
import { Mistake } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { type Connection, type PageArgs, readNumberedPage, toConnection } from '../kernel/page.ts';

export type Failed = {
  programId: ProgramId;
  task: WorkerTask;
  day: string;
  memberId: string | null;
  error: unknown;
};

/**
 * One more attempt: the next is after 1, 2, 4, ... minutes, at most eight and a half hours. What is
 * no member's is tried every four minutes at least: a pool that fails is not to keep the others of
 * its program waiting.
 */
export async function recordFailure(deps: Deps, failed: Failed): Promise<WorkerFailure> {
  const { error, ...of } = failed;
  deps.log.error({ err: error, ...of }, 'a task failed for a member');
  const { programId, task, day, memberId } = of;
  const now = deps.clock.now();
  return inTransaction(deps, async (tx) => {
    const [row] = await tx.$queryRaw<{ id: bigint; next: Date }[]>`
      INSERT INTO worker_failures AS f
        (program_id, task, day, member_id, message, attempts, next_attempt_at)
      VALUES (${programId}::uuid, ${task}::worker_task, ${day}::date, ${memberId}::uuid,
        ${messageOf(error)}, 1, ${now}::timestamptz + interval '1 minute')
      ON CONFLICT (program_id, task,
        (coalesce(member_id, '00000000-0000-0000-0000-000000000000'))) WHERE resolved_at IS NULL
      DO UPDATE SET day = excluded.day, message = excluded.message, attempts = f.attempts + 1,
        next_attempt_at = ${now}::timestamptz
          + interval '1 minute' * (1 << least(f.attempts,
            CASE WHEN f.member_id IS NULL THEN 2 ELSE 9 END))
      RETURNING id, next_attempt_at AS next`;
    if (!row) throw new Error('a failure that was not recorded');
    await tx.$executeRaw`
      UPDATE program_work SET due_at = least(due_at, ${row.next}::timestamptz)
      WHERE program_id = ${programId}::uuid`;
    return tx.workerFailure.findUniqueOrThrow({
      where: { programId_id: { programId, id: row.id } },
    });
  });
}

/** Names code and schema, and no value: a database's own message quotes whole rows. */
function messageOf(error: unknown): string {
  if (error instanceof Mistake) return error.message;
  const code = errorCode(error);
  if (code === undefined) return error instanceof Error ? error.name : 'unknown';
  const constraint = constraintOf(error);
  return constraint === undefined ? `database error ${code}` : `${code}, constraint ${constraint}`;
}

export type Open = { programId: ProgramId; task: WorkerTask };

type Wanted = Open & { until: string; after: bigint; limit: number; dueBy?: Date | undefined };

/**
 * A page of the open failures of days up to `until`, in the order in which they were recorded.
 * `dueBy`, in real time: only those whose next attempt is due by then.
 */
export function openFailures(deps: Deps, of: Wanted): Promise<WorkerFailure[]> {
  const { programId, task, until, after, limit, dueBy } = of;
  return deps.db.workerFailure.findMany({
    where: {
      programId,
      task,
      day: { lte: new Date(until) },
      resolvedAt: null,
      id: { gt: after },
      ...(dueBy ? { nextAttemptAt: { lte: dueBy } } : {}),
    },
    orderBy: { id: 'asc' },
    take: limit,
  });
}

/** The tasks that somebody waits to be tried again for. */
export async function failingTasks(deps: Deps, programId: ProgramId): Promise<Set<WorkerTask>> {
  const open = await deps.db.$queryRaw<{ task: WorkerTask }[]>`
    SELECT DISTINCT task FROM worker_failures
    WHERE program_id = ${programId}::uuid AND resolved_at IS NULL`;
  return new Set(open.map(({ task }) => task));
}

/** Whom of these the task has failed for, and has not been put right since. */
export async function failedOf(
  deps: Deps,
  { programId, task, memberIds }: Open & { memberIds: readonly string[] },
): Promise<ReadonlySet<string>> {
  const open = await deps.db.$queryRaw<{ id: string }[]>`
    SELECT member_id::text AS id FROM worker_failures
    WHERE program_id = ${programId}::uuid AND task = ${task}::worker_task AND resolved_at IS NULL
      AND coalesce(member_id, '00000000-0000-0000-0000-000000000000')
        = ANY (${[...memberIds]}::uuid[])`;
  return new Set(open.map(({ id }) => id));
}

/** This one, unless it has failed once more since it was read: on a later day, maybe. */
export async function resolveFailure(
  deps: Deps,
  { programId, id, attempts }: Pick<WorkerFailure, 'programId' | 'id' | 'attempts'>,
): Promise<void> {
  await deps.db.workerFailure.updateMany({
    where: { programId, id, attempts, resolvedAt: null },
    data: { resolvedAt: deps.clock.now() },
  });
}

/** All open ones of the task but those named. */
export async function resolveFailures(
  deps: Deps,
  { programId, task, except = [] }: Open & { except?: bigint[] },
): Promise<void> {
  await deps.db.$executeRaw`
    UPDATE worker_failures SET resolved_at = ${deps.clock.now()}
    WHERE program_id = ${programId}::uuid AND task = ${task}::worker_task AND resolved_at IS NULL
      AND id <> ALL (${except}::bigint[])`;
}

/** Newest first, those that were put right included. */
export async function listFailures(
  deps: Deps,
  args: PageArgs & { programId: ProgramId; task?: WorkerTask | null | undefined },
): Promise<Connection<WorkerFailure>> {
  const { take, afterNumber } = readNumberedPage(args);
  const rows = await deps.db.workerFailure.findMany({
    where: {
      programId: args.programId,
      ...(args.task ? { task: args.task } : {}),
      ...(afterNumber === undefined ? {} : { id: { lt: afterNumber } }),
    },
    orderBy: { id: 'desc' },
    take,
  });
  return toConnection(rows, args);
}
