import type { Tx } from './db.ts';

/**
 * The named takers of the advisory locks in prisma/functions/locks.sql, for commands that wait.
 * Each holds until the transaction ends. Take them in the order in which they stand here.
 */

/**
 * Settings of a program that are judged against each other: the ladder, chains of fallback pools.
 */
export async function lockProgram(tx: Tx, programId: string): Promise<void> {
  await tx.$queryRaw`SELECT lock_program(${programId}::uuid)::text`;
}

/** `member:<id>`, `email:<address>`, `mailbox:<address>`, `external:<id>`: see claimants_of.sql. */
export async function lockIdentities(tx: Tx, of: { programId: string; keys: string[] }) {
  await tx.$queryRaw`SELECT lock_identities(${of.programId}::uuid, ${of.keys}::text[])::text`;
}

/** False when another process is minting for this pool at this moment. */
export async function tryLockTopUp(tx: Tx, of: { programId: string; poolId: string }) {
  const [row] = await tx.$queryRaw<{ locked: boolean }[]>`
    SELECT try_lock_top_up(${of.programId}::uuid, ${of.poolId}::uuid) AS locked`;
  return row?.locked === true;
}

/** Alone: nothing is claimed from the pool, and no code added to it, until the transaction ends. */
export async function lockPool(tx: Tx, of: { programId: string; poolId: string }) {
  await tx.$queryRaw`SELECT lock_pool(${of.programId}::uuid, ${of.poolId}::uuid)::text`;
}

export async function lockPoolShared(tx: Tx, of: { programId: string; poolId: string }) {
  await tx.$queryRaw`SELECT lock_pool_shared(${of.programId}::uuid, ${of.poolId}::uuid)::text`;
}

/** New codes of a program go in one batch after the other. */
export async function lockCodeSpace(tx: Tx, programId: string) {
  await tx.$queryRaw`SELECT lock_code_space(${programId}::uuid)::text`;
}

export async function lockOrder(tx: Tx, of: { programId: string; orderId: string }) {
  await tx.$queryRaw`SELECT lock_order(${of.programId}::uuid, ${of.orderId})::text`;
}

/** The points and the tier of one member. */
export async function lockMember(tx: Tx, of: { programId: string; memberId: string }) {
  await tx.$queryRaw`SELECT lock_member(${of.programId}::uuid, ${of.memberId}::uuid)::text`;
}
