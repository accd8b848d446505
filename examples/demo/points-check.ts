/** What must have become of the points, and whether it did: in all, and member by member. */
import { isDeepStrictEqual } from 'node:util';
import type { TiersOracle } from '../../test/support/tiers-oracle.ts';
import { sum } from './cdnow.ts';
import { differences, firstOf } from './differences.ts';
import type { MemberAccount } from './operations.ts';
import { SETTINGS } from './plan.ts';
import type { Played } from './scenario.ts';
import { bySql, type Where } from './sql.ts';
import { readStates, stateOf } from './states.ts';

/** The plain ledgers by the shop's own ids. */
export type Ledgers = ReadonlyMap<string, TiersOracle>;

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
    value: Math.round(outstanding * Number(SETTINGS.pointValue)),
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

function accountOf(id: string, ledger: TiersOracle): Omit<MemberAccount, 'externalId'> {
  const { rank, graceEnds, history } = ledger.standing(id);
  const instant = (at: number) => new Date(at).toISOString();
  return {
    balance: ledger.balance(id),
    pendingPoints: ledger.pending(id),
    debtPoints: ledger.holder(id).debt,
    tier: { rank },
    earned12Months: ledger.metric(id),
    graceEndsAt: graceEnds === null ? null : instant(ledger.days.startOf(graceEnds)),
    tierHistory: {
      nodes: history
        .map(({ from, to, reason, at }) => ({
          ...{ from: { rank: from }, to: { rank: to }, reason, at: instant(at) },
        }))
        .reverse(),
    },
  };
}

const PARTS = ['account', 'lots', 'spends', 'journal', 'tier', 'warnings'] as const;

/** The same of the database: all that it holds for every member. */
export const checkLedgers = (expected: Ledgers, { databaseUrl, programId }: Where) =>
  bySql(databaseUrl, async (client) => {
    const found = await readStates(client, programId);
    const states = [...expected].map(([id, ledger]) => ({ id, state: stateOf(ledger) }));
    return PARTS.flatMap((part) => {
      const unequal = states.filter(
        ({ id, state }) => !isDeepStrictEqual(found.get(id)?.[part], state[part]),
      );
      return firstOf(
        `members by SQL with other ${part}`,
        unequal.map(({ id }) => id),
      );
    });
  });
