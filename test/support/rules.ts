import type pg from 'pg';
import type { Db } from '../../src/kernel/db.ts';
import { unchanged } from './unchanged.ts';

/** Which test tries which rule of the database: a rule that no pattern names is the coupons'. */
const ROOMS = {
  ledger: /^(ledger_|spends_|consumption_|purchase_refunds_|events_|members_(outstanding|debt)_)/,
  tiers: /^(tier_changes_|members_warned_)/,
  workers: /^(program_work_|worker_failures_|leases_)/,
  webhooks: /^(webhooks_|webhook_deliveries_)/,
  marketing: /^(campaigns_|campaign_recipients_|code_jobs_)/,
} as const;

export type RuleRoom = keyof typeof ROOMS | 'coupons';

const roomOfRule = (rule: string): RuleRoom => {
  const found = Object.entries(ROOMS).find(([, pattern]) => pattern.test(rule));
  return (found?.[0] as RuleRoom | undefined) ?? 'coupons';
};

/** Names every CHECK, exclusion, unique index and trigger of the database. */
const ALL_RULES = `
  SELECT conname AS name FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'x', 'u')
  UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
  UNION SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = 'public'::regnamespace AND indisunique AND NOT indisprimary
  ORDER BY 1`;

export async function rulesOf(client: pg.Client, room: RuleRoom): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(ALL_RULES);
  return rows.map(({ name }) => name).filter((name) => roomOfRule(name) === room);
}

/** By the name of a rule, the statements that it is to refuse. */
export type Violations = Record<string, string[]>;

export const casesOf = (violations: Violations) =>
  Object.entries(violations).flatMap(([rule, all]) => all.map((sql) => [rule, sql] as const));

type Violating = { client: pg.Client; sql: string; ids?: Record<string, string> };

/** The rule that refuses the statement, in which `:name` stands for one of the ids. */
export async function ruleAgainst(db: Db, { client, sql, ids = {} }: Violating): Promise<string> {
  const statement = sql.replace(/(?<!:):([a-z]+)\b/g, (text, name) =>
    ids[name] ? `'${ids[name]}'::uuid` : text,
  );
  return unchanged(db, () =>
    client.query(statement).then(
      () => 'it was not refused',
      (error: pg.DatabaseError) => error.constraint ?? error.message,
    ),
  );
}
