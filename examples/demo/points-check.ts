/** What must have become of the points, and whether it did: in all, and member by member. */
import { isDeepStrictEqual } from 'node:util';
import pg from 'pg';
import type { Oracle } from '../../test/support/oracle.ts';
import { sum } from './cdnow.ts';
import { differences, firstOf } from './differences.ts';
import { POINTS } from './plan.ts';
import type { Played } from './scenario.ts';
import { readStates, stateOf } from './states.ts';

/** The plain ledgers by the shop's own ids. */
export type Ledgers = ReadonlyMap<string, Oracle>;

/** In points; `value` in cents. `capped` is what the cap withheld. */
export type PointTotals = Record<
  'awarded' | 'capped' | 'spent' | 'expired' | 'reversed' | 'outstanding' | 'value',
  number
>;

export function pointTotalsOf(expected: Ledgers): PointTotals {
  const ledgers = [...expected.values()];
  const entries = ledgers.flatMap((ledger) => ledger.entries);
  const moved = (kind: string) =>
    sum(entries.filter((entry) => entry.kind === kind).map(({ points }) => points));
  const lots = ledgers.flatMap((ledger) => ledger.lots);
  const outstanding = sum(lots.map(({ remaining }) => remaining));
  return {
    awarded: moved('AWARD'),
    capped: sum(lots.map(({ requested, points }) => requested - points)),
    spent: -moved('SPEND'),
    expired: -moved('EXPIRE'),
    reversed: -moved('REVERSE'),
    outstanding,
    value: Math.round(outstanding * Number(POINTS.pointValue)),
  };
}

export function answeredPoints({ liability, capped }: Played): PointTotals {
  const { awarded, spent, expired, reversed, closing, value } = liability;
  return { awarded, capped, spent, expired, reversed, outstanding: closing, value };
}

/** One sentence for each difference between the plain ledgers and what the API answered. */
export function checkPoints(expected: Ledgers, played: Played): string[] {
  const { reconciliation, members } = played;
  const lots = sum([...expected.values()].map((ledger) => ledger.lots.length));
  const found = new Map(members.map(({ externalId, ...points }) => [externalId, points]));
  const unequal = [...expected].filter(
    ([id, ledger]) => !isDeepStrictEqual(found.get(id), accountOf(id, ledger)),
  );
  return [
    ...differences('API', {
      expected: pointTotalsOf(expected),
      found: answeredPoints(played),
    }),
    ...differences('API', {
      expected: { members: expected.size, batches: lots, accounts: expected.size },
      found: { ...reconciliation, accounts: found.size },
    }),
    ...reconciliation.differences.map(
      (one) => `${one.invariant} of ${one.subject}: ${one.actual} instead of ${one.expected}`,
    ),
    ...firstOf(
      'accounts that differ by API',
      unequal.map(([id]) => id),
    ),
  ];
}

const accountOf = (id: string, ledger: Oracle) => ({
  balance: ledger.balance(id),
  pendingPoints: ledger.pending(id),
  debtPoints: ledger.holder(id).debt,
});

/** The same of the database: every lot, spend and line of the journal of every member. */
export async function checkLedgers(
  expected: Ledgers,
  of: { databaseUrl: string; programId: string },
): Promise<string[]> {
  const client = new pg.Client({ connectionString: of.databaseUrl });
  await client.connect();
  try {
    const found = await readStates(client, of.programId);
    const states = [...expected].map(([id, ledger]) => ({ id, state: stateOf(ledger) }));
    return (['account', 'lots', 'spends', 'journal'] as const).flatMap((part) => {
      const unequal = states.filter(
        ({ id, state }) => !isDeepStrictEqual(found.get(id)?.[part], state[part]),
      );
      return firstOf(
        `members by SQL with other ${part}`,
        unequal.map(({ id }) => id),
      );
    });
  } finally {
    await client.end();
  }
}
