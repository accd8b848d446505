/** Which test tries which rule of the database: a rule that no pattern names is the coupons'. */
const ROOMS = {
  ledger: /^(ledger_|spends_|consumption_|purchase_refunds_|events_|members_(outstanding|debt)_)/,
  tiers: /^(tier_changes_|members_warned_)/,
  workers: /^(program_work_|worker_failures_|leases_)/,
  webhooks: /^(webhooks_|webhook_deliveries_)/,
  marketing: /^(campaigns_|campaign_recipients_|code_jobs_)/,
} as const;

export type RuleRoom = keyof typeof ROOMS | 'coupons';

export const roomOfRule = (rule: string): RuleRoom => {
  const found = Object.entries(ROOMS).find(([, pattern]) => pattern.test(rule));
  return (found?.[0] as RuleRoom | undefined) ?? 'coupons';
};

/** Names every CHECK, exclusion, unique index and trigger of the database. */
export const ALL_RULES = `
  SELECT conname AS name FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'x', 'u')
  UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
  UNION SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = 'public'::regnamespace AND indisunique AND NOT indisprimary
  ORDER BY 1`;
