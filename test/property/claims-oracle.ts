/**
 * What claims and redemptions ought to answer, in plain arrays, after the specification and not
 * after the engine: every code is looked at one by one, and a refusal may have any reason that
 * holds.
 */
export type PoolFacts = {
  id: string;
  limit: number;
  fallback: string | undefined;
  endsAt: number | undefined;
  minOrder: number;
  /** Basis points. */
  percent: number;
  stackable: boolean;
  paused: boolean;
};
export type MemberFacts = { id: string; email: string | undefined; verified: boolean };
export type CodeFacts = {
  id: string;
  pool: string;
  status: 'AVAILABLE' | 'ALLOCATED' | 'REDEEMED' | 'REVOKED';
  asked?: string;
  key?: string;
  owner?: string;
  /** 1: by member id, 3: by a verified address. */
  match?: number;
  email?: string;
  /** The mailbox of a guest, at the time of the claim. */
  mailbox?: string;
  at?: number;
  order?: string;
  until?: number;
};
export type RedemptionFacts = {
  id: string;
  code: string;
  order: string;
  amount: number;
  discount: number;
  voided: boolean;
};
export type Expected<T> = { ok: T } | { refused: string[] };

const mailbox = (email: string): string => {
  const [name = '', domain] = email.split('@');
  const bare = name.split('+')[0] as string;
  return domain === 'gmail.com' ? `${bare.replaceAll('.', '')}@gmail.com` : `${bare}@${domain}`;
};

export class Oracle {
  now = 0;
  readonly pools: PoolFacts[];
  readonly members: MemberFacts[];
  readonly codes: CodeFacts[];
  readonly redemptions: RedemptionFacts[] = [];

  constructor(world: { pools: PoolFacts[]; members: MemberFacts[]; codes: CodeFacts[] }) {
    this.pools = world.pools;
    this.members = world.members;
    this.codes = world.codes;
  }

  pool = (id: string): PoolFacts => this.pools.find((pool) => pool.id === id) as PoolFacts;
  code = (id: string): CodeFacts => this.codes.find((code) => code.id === id) as CodeFacts;

  /** A guest whose address a member has verified is that member: the oldest, who stands first. */
  private identity(who: { memberId?: string; email?: string }) {
    const byEmail = this.members.find((m) => m.verified && m.email === who.email);
    const owner = who.memberId ?? byEmail?.id;
    return { owner, email: who.email, match: who.memberId ? 1 : 3 };
  }

  private own(pool: string, who: { owner?: string; email?: string }): CodeFacts[] {
    return this.codes.filter(
      (code) =>
        [code.pool, code.asked].includes(pool) &&
        (who.owner ? code.owner === who.owner : code.email === who.email && code.email),
    );
  }

  private places(pool: string, who: { owner?: string; email?: string }): number {
    const own = this.own(pool, who);
    if (who.owner) return own.length;
    const mates = this.codes.filter(
      (code) =>
        [code.pool, code.asked].includes(pool) &&
        code.mailbox === mailbox(who.email as string) &&
        !own.includes(code),
    );
    return own.length + mates.length;
  }

  private over = (pool: PoolFacts) => pool.endsAt !== undefined && this.now >= pool.endsAt;

  /** Which codes may be the answer, and whether they are held already. */
  claim(ask: { pool: string; memberId?: string; email?: string; key: string }) {
    const who = this.identity(ask);
    const pool = this.pool(ask.pool);
    const own = this.own(pool.id, who);
    const held = own.filter(
      (code) =>
        ['ALLOCATED', 'REDEEMED'].includes(code.status) &&
        (pool.limit === 1 || code.key === ask.key),
    );
    if (held.length > 0) return { ok: { codes: first(held), held: true, who } };
    const refused: string[] = [];
    const keyGone = own.some((code) => code.status === 'REVOKED' && code.key === ask.key);
    if (keyGone || this.places(pool.id, who) >= pool.limit) refused.push('CLAIM_LIMIT_REACHED');
    if (pool.paused || this.over(pool)) refused.push('POOL_NOT_ISSUING');
    if (refused.length > 0) return { refused };
    for (let next: PoolFacts | undefined = pool; next; ) {
      const passedOver: boolean =
        next !== pool &&
        (next.paused || this.over(next) || this.places(next.id, who) >= next.limit);
      const free = this.codes.filter(
        (code) => code.pool === next?.id && code.status === 'AVAILABLE',
      );
      if (!passedOver && free.length > 0) return { ok: { codes: free, held: false, who } };
      next = next.fallback ? this.pool(next.fallback) : undefined;
    }
    return { refused: ['POOL_EXHAUSTED'] };
  }

  give(
    code: CodeFacts,
    to: { pool: string; key: string; owner?: string; email?: string; match: number },
  ) {
    code.status = 'ALLOCATED';
    code.key = to.key;
    code.at = this.now;
    if (to.pool !== code.pool) code.asked = to.pool;
    if (to.email) code.email = to.email;
    if (to.owner) Object.assign(code, { owner: to.owner, match: to.match });
    else code.mailbox = mailbox(to.email as string);
  }

  /** An address that becomes verified binds what a guest claimed with it and nobody owns. */
  verify(member: MemberFacts) {
    member.verified = true;
    for (const code of this.codes)
      if (code.email === member.email && !code.owner)
        Object.assign(code, { owner: member.id, match: 3 });
  }

  /** The reasons for which the code cannot be spent on, or held for, the order. */
  private reasons(code: CodeFacts, ask: { order: string; caller?: string; owner?: string }) {
    if (ask.caller && code.owner !== ask.caller) return ['CODE_NOT_REDEEMABLE'];
    if (code.status === 'AVAILABLE') return ['CODE_NOT_ALLOCATED'];
    const reasons: string[] = [];
    const reserved = code.until !== undefined && code.until > this.now;
    if (ask.owner && code.owner !== ask.owner) reasons.push('NOT_THE_OWNER');
    if (code.status === 'REDEEMED') reasons.push('CODE_ALREADY_REDEEMED');
    if (code.status === 'REVOKED') reasons.push('CODE_REVOKED');
    if (reserved && code.order !== ask.order) reasons.push('CODE_RESERVED');
    if (this.over(this.pool(code.pool)) && !(reserved && code.order === ask.order))
      reasons.push('CODE_EXPIRED');
    return reasons;
  }

  redeem(
    code: CodeFacts,
    ask: { order: string; amount: number; caller?: string; owner?: string },
  ): Expected<RedemptionFacts | undefined> {
    const live = this.redemptions.filter((redemption) => !redemption.voided);
    const repeated = live.find((r) => r.code === code.id && r.order === ask.order);
    const reasons = this.reasons(code, ask);
    if (repeated && !reasons.includes('CODE_NOT_REDEEMABLE')) return { ok: repeated };
    if (reasons.length > 0) return { refused: reasons };
    const pool = this.pool(code.pool);
    if (ask.amount < pool.minOrder) reasons.push('BELOW_MINIMUM_ORDER');
    const beside = live.filter((r) => r.order === ask.order);
    const stacks = (id: string) => this.pool(this.code(id).pool).stackable;
    if (beside.length > 0 && !(pool.stackable && beside.every((r) => stacks(r.code))))
      reasons.push('ORDER_ALREADY_DISCOUNTED');
    return reasons.length > 0 ? { refused: reasons } : { ok: undefined };
  }

  spend(code: CodeFacts, of: { id: string; order: string; amount: number }) {
    const discount = Math.floor((of.amount * this.pool(code.pool).percent) / 10_000);
    this.redemptions.push({ ...of, code: code.id, discount, voided: false });
    code.status = 'REDEEMED';
    this.clear(code);
    return discount;
  }

  clear(code: CodeFacts) {
    delete code.order;
    delete code.until;
  }

  reserve(code: CodeFacts, ask: { order: string; ttl: number; caller?: string }) {
    const reasons = this.reasons(code, ask);
    // Honoured past the end of its pool, and not made or extended there.
    if (reasons.length === 0 && this.over(this.pool(code.pool))) reasons.push('CODE_EXPIRED');
    if (reasons.length > 0) return { refused: reasons };
    const until = this.now + ask.ttl * 1_000;
    code.until = code.order === ask.order ? Math.max(until, code.until ?? 0) : until;
    code.order = ask.order;
    return { ok: code.until };
  }

  release(code: CodeFacts, ask: { order: string; caller?: string }): boolean {
    if (ask.caller && code.owner !== ask.caller) return false;
    if (code.order !== ask.order || (code.until ?? 0) <= this.now) return false;
    this.clear(code);
    return true;
  }

  /** Voiding twice gives nothing back a second time. */
  void(redemption: RedemptionFacts) {
    if (redemption.voided) return;
    redemption.voided = true;
    const code = this.code(redemption.code);
    code.status = 'ALLOCATED';
    this.clear(code);
  }

  revoke(code: CodeFacts): boolean {
    if (code.status === 'REDEEMED') return false;
    code.status = 'REVOKED';
    this.clear(code);
    return true;
  }
}

/** The best by precedence, then the oldest; several where they are equal. */
function first(codes: CodeFacts[]): CodeFacts[] {
  const rank = (code: CodeFacts) => (code.match ?? 9) * 2 ** 48 + (code.at ?? 0);
  const best = Math.min(...codes.map(rank));
  return codes.filter((code) => rank(code) === best);
}
