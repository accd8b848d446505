/**
 * The variables of the examples name what they need as `{{poolId}}`. It is filled in from what the
 * server knew when it made the page, and from then on from what the steps answer.
 */

const HINTS = {
  draftPoolId: '<the id that CreatePool answers>',
  poolId: '<the id that ActivatePool answers>',
  memberId: '<the id that UpsertMember answers>',
  code: '<the plaintext that ClaimCode answers>',
  orderId: 'order-1',
};

export type Name = keyof typeof HINTS;
export type Values = Partial<Record<Name, string>>;

/** Text that stands for what is not known yet is a hint to whoever reads it. */
export function fill(template: string, values: Values): string {
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: Name) =>
    JSON.stringify(values[name] ?? HINTS[name]).slice(1, -1),
  );
}

type Answered = { id?: unknown; plaintext?: unknown; code?: { id?: unknown } | null };

/**
 * Which answers the next steps go on with. An order of its own for each code: an order takes one.
 */
const LESSONS: Record<string, (answer: Answered) => Record<string, unknown>> = {
  createPool: ({ id }) => ({ draftPoolId: id }),
  activatePool: ({ id }) => ({ poolId: id }),
  upsertMember: ({ id }) => ({ memberId: id }),
  claimCode: ({ plaintext, code }) => ({
    code: plaintext,
    orderId: typeof code?.id === 'string' ? `order-${code.id.slice(-6)}` : undefined,
  }),
};

/** What an answer of the API adds to what is known. */
export function learn(values: Values, answer: unknown): Values {
  const learned: Record<string, string> = {};
  const data = (answer as { data?: Record<string, Answered | null> | null } | null)?.data ?? {};
  for (const [field, value] of Object.entries(data)) {
    if (!value || !Object.hasOwn(LESSONS, field)) continue;
    for (const [name, text] of Object.entries(LESSONS[field]?.(value) ?? {}))
      if (typeof text === 'string') learned[name] = text;
  }
  return { ...values, ...learned };
}
