import type { Deps } from '../deps.ts';
import { type ProgramId, parseId } from '../kernel/ids.ts';
import { inOrder } from '../kernel/in-order.ts';
import {
  type Connection,
  type PageArgs,
  readNumberedPage,
  readPage,
  toConnection,
} from '../kernel/page.ts';
import { readCode } from './canonical.ts';
import { COUNTS } from './sealed.ts';
import { type CodeRow, toCode } from './sql/code-row.ts';
import type {
  Code,
  CodeBatch,
  CodeJob,
  CodeStatus,
  OwnershipConflict,
  Pool,
  PoolRef,
  PoolStatus,
  Redemption,
} from './types.ts';
import { lookupHashes } from './vault.ts';

const FIRST_ID = '00000000-0000-0000-0000-000000000000';
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** All that there are in a program, in whatever pool. */
export const countCodes = (deps: Pick<Deps, 'db'>, { programId }: { programId: ProgramId }) =>
  deps.db.code.count({ where: { programId, ...COUNTS } });

type Ids = { programId: ProgramId; ids: readonly string[] };

export type PoolStats = {
  generated: number;
  available: number;
  allocated: number;
  redeemed: number;
  revoked: number;
};

export async function poolsByIds(deps: Deps, { programId, ids }: Ids): Promise<(Pool | null)[]> {
  const rows = await deps.db.pool.findMany({ where: { programId, id: { in: [...ids] } } });
  return inOrder(ids, rows, (pool) => pool.id);
}

export async function batchesByIds(
  deps: Deps,
  { programId, ids }: Ids,
): Promise<(CodeBatch | null)[]> {
  const rows = await deps.db.codeBatch.findMany({ where: { programId, id: { in: [...ids] } } });
  return inOrder(ids, rows, (batch) => batch.id);
}

export async function codesByIds(deps: Deps, { programId, ids }: Ids): Promise<(Code | null)[]> {
  const rows = await deps.db.code.findMany({ where: { programId, id: { in: [...ids] } } });
  return inOrder(ids, rows, (code) => code.id);
}

/** The live redemption of each code. */
export async function redemptionsOfCodes(
  deps: Deps,
  { programId, ids }: Ids,
): Promise<(Redemption | null)[]> {
  const rows = await deps.db.redemption.findMany({
    where: { programId, codeId: { in: [...ids] }, voidedAt: null },
  });
  return inOrder(ids, rows, (redemption) => redemption.codeId);
}

/** Newest first: a claim is what its member wants to see. */
export async function walletsOf(deps: Deps, { programId, ids }: Ids): Promise<Code[][]> {
  const rows = await deps.db.code.findMany({
    where: { programId, memberId: { in: [...ids] } },
    orderBy: [{ allocatedAt: 'desc' }, { id: 'desc' }],
  });
  const wallets = new Map<string, Code[]>(ids.map((id) => [id, []]));
  for (const code of rows) wallets.get(code.memberId as string)?.push(code);
  return ids.map((id) => wallets.get(id) ?? []);
}

/** One statement for any number of pools, answered from indexes: see unsealed_batches.sql. */
export async function statsOfPools(deps: Deps, { programId, ids }: Ids): Promise<PoolStats[]> {
  const rows = await deps.db.$queryRaw<{ pool_id: string; status: CodeStatus; count: bigint }[]>`
    SELECT pool_id::text, status::text, count(*) - CASE status WHEN 'AVAILABLE' THEN (
      SELECT coalesce(sum(u.count), 0) FROM unsealed_batches(${programId}::uuid, pool_id) u)
      ELSE 0 END AS count
    FROM codes
    WHERE program_id = ${programId}::uuid AND pool_id = ANY (${[...ids]}::uuid[])
    GROUP BY pool_id, status`;
  const counts = new Map(rows.map((row) => [`${row.pool_id}/${row.status}`, Number(row.count)]));
  return ids.map((id) => {
    const of = (status: CodeStatus) => counts.get(`${id}/${status}`) ?? 0;
    const stats = {
      available: of('AVAILABLE'),
      allocated: of('ALLOCATED'),
      redeemed: of('REDEEMED'),
      revoked: of('REVOKED'),
    };
    return { ...stats, generated: Object.values(stats).reduce((sum, count) => sum + count, 0) };
  });
}

export async function listPools(
  deps: Deps,
  args: PageArgs & { programId: ProgramId; status?: PoolStatus | null | undefined },
): Promise<Connection<Pool>> {
  const { take, afterId } = readPage(args);
  const rows = await deps.db.pool.findMany({
    where: {
      programId: args.programId,
      ...(args.status ? { status: args.status } : {}),
      ...(afterId ? { id: { gt: afterId } } : {}),
    },
    orderBy: { id: 'asc' },
    take,
  });
  return toConnection(rows, args);
}

const EVERY_STATUS: CodeStatus[] = ['AVAILABLE', 'ALLOCATED', 'REDEEMED', 'REVOKED'];

/**
 * The index has the order within each status, so a page of all is merged from one of each. Compared
 * as a row, so that it is this index: by `id` alone it could be the primary key's, past every code
 * of the program for a status that few have.
 */
export async function listCodes(
  deps: Deps,
  args: PageArgs & PoolRef & { status?: CodeStatus | null | undefined },
): Promise<Connection<Code>> {
  const { take, afterId = FIRST_ID } = readPage(args);
  const { programId, poolId } = args;
  const statuses = args.status ? [args.status] : EVERY_STATUS;
  const rows = await deps.db.$queryRaw<CodeRow[]>`
    SELECT c.* FROM unnest(${statuses}::code_status[]) AS s(status)
    CROSS JOIN LATERAL (
      SELECT * FROM codes
      WHERE program_id = ${programId}::uuid
        AND (pool_id, status, id) > (${poolId}::uuid, s.status, ${afterId}::uuid)
        AND (pool_id, status, id) <= (${poolId}::uuid, s.status, ${LAST_ID}::uuid)
        AND batch_id NOT IN (
          SELECT u.id FROM unsealed_batches(${programId}::uuid, ${poolId}::uuid) u)
      ORDER BY pool_id, status, id LIMIT ${take}) c
    ORDER BY c.id LIMIT ${take}`;
  return toConnection(rows.map(toCode), args);
}

/** By its text, in any spelling. */
export async function findCode(
  deps: Deps,
  { programId, code }: { programId: ProgramId; code: string },
): Promise<Code | null> {
  const hashes = lookupHashes(deps, readCode(code, 'code')).map((hash) => new Uint8Array(hash));
  return deps.db.code.findFirst({ where: { programId, lookupHash: { in: hashes }, ...COUNTS } });
}

export async function codeById(
  deps: Deps,
  of: { programId: ProgramId; id: string },
): Promise<Code | null> {
  const id = parseId(of.id);
  if (!id) return null;
  const where = { programId_id: { programId: of.programId, id }, ...COUNTS };
  return deps.db.code.findUnique({ where });
}

/** For whoever started it: how far it is. */
export async function codeJobById(
  deps: Deps,
  of: { programId: ProgramId; id: string },
): Promise<CodeJob | null> {
  const id = parseId(of.id);
  if (!id) return null;
  return deps.db.codeJob.findUnique({ where: { programId_id: { programId: of.programId, id } } });
}

/** What an order was given, voided redemptions included, in the order in which it happened. */
export async function redemptionsOfOrder(
  deps: Deps,
  of: { programId: ProgramId; orderId: string },
): Promise<Redemption[]> {
  return deps.db.redemption.findMany({
    where: { programId: of.programId, orderId: of.orderId.trim() },
    orderBy: { id: 'asc' },
  });
}

/** In the order in which they were found. A code that was recycled has its owner no longer. */
export async function listConflicts(
  deps: Deps,
  args: PageArgs & { programId: ProgramId },
): Promise<Connection<OwnershipConflict>> {
  const { take, afterNumber = -1n } = readNumberedPage(args);
  const rows = await deps.db.$queryRaw<OwnershipConflict[]>`
    SELECT o.program_id::text AS "programId", o.id, o.code_id::text AS "codeId",
      o.owner_id::text AS "ownerId", o.other_id::text AS "otherId", o.at
    FROM ownership_conflicts o
    JOIN codes c ON c.program_id = o.program_id AND c.id = o.code_id AND c.member_id = o.owner_id
    WHERE o.program_id = ${args.programId}::uuid AND o.id > ${afterNumber}::bigint
    ORDER BY o.id LIMIT ${take}`;
  return toConnection(rows, args);
}
