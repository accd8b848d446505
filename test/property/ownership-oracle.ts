/**
 * Whose code it ought to be, in plain arrays, after the specification and not after the engine:
 * every code asks every member whether it matches, and how well.
 */
export type PoolFacts = { id: string; limit: number };
export type MemberFacts = { id: string; email: string | null; verified: boolean };
export type RecipientFacts = { id: string; pool: string; member?: string; email?: string };
export type Named = { member?: string; email?: string; recipient?: string };
export type CodeFacts = {
  id: string;
  pool: string;
  status: 'AVAILABLE' | 'ALLOCATED' | 'REVOKED';
  by?: Named;
  key?: string;
  owner?: string;
  match?: number;
  at?: number;
  seen: boolean;
  replacedBy?: string;
  /** It took the place of another one, and is still its holder's. */
  standsIn?: boolean;
};
export type Answer = { held: CodeFacts[] } | { free: true } | { refused: string };

const mailbox = (email: string): string => {
  const [name = '', domain] = email.split('@');
  const bare = name.split('+')[0] as string;
  return domain === 'gmail.com' ? `${bare.replaceAll('.', '')}@gmail.com` : `${bare}@${domain}`;
};

export class Oracle {
  readonly pools: PoolFacts[];
  /** The older ones first. */
  readonly members: MemberFacts[];
  readonly recipients: RecipientFacts[];
  readonly codes: CodeFacts[];
  readonly conflicts: { code: string; owner: string; other: string }[] = [];
  private now = 0;

  constructor(world: Pick<Oracle, 'pools' | 'members' | 'recipients' | 'codes'>) {
    this.pools = world.pools;
    this.members = world.members;
    this.recipients = world.recipients;
    this.codes = world.codes;
  }

  code = (id: string): CodeFacts => this.codes.find((code) => code.id === id) as CodeFacts;
  private recipient = (id: string) => this.recipients.find((one) => one.id === id);

  /** The address that a claimant was named by, itself or as a recipient. */
  private addressOf = ({ email, recipient }: Named): string | undefined =>
    email ?? (recipient ? this.recipient(recipient)?.email : undefined);

  /** 1, 2 or 3 after the specification, undefined for no match at all. */
  private matchOf(by: Named, { id, email, verified }: MemberFacts): number | undefined {
    if (by.member) return by.member === id ? 1 : undefined;
    if (by.recipient && this.recipient(by.recipient)?.member === id) return 2;
    const address = this.addressOf(by);
    if (!verified || address === undefined || address !== email) return undefined;
    return by.recipient ? 2 : 3;
  }

  /** Who matches best at this moment: by precedence, then the older one, who stands first. */
  private bestOf(by: Named): { owner: string; match: number } | undefined {
    const found = this.members.flatMap((member) => {
      const match = this.matchOf(by, member);
      return match === undefined ? [] : [{ owner: member.id, match }];
    });
    return found.sort((a, b) => a.match - b.match)[0];
  }

  /** The codes that count for a claimant in a pool: its own, and those of its mailbox. */
  private countedFor(by: Named, pool: string) {
    const owner = this.bestOf(by)?.owner;
    const address = this.addressOf(by);
    const given = this.codes.filter(
      (code) => code.pool === pool && code.status !== 'AVAILABLE' && !code.replacedBy,
    );
    if (owner) {
      const own = given.filter((code) => code.owner === owner);
      return { own, places: own.length };
    }
    const own = given.filter(
      (code) => code.by && code.owner === undefined && this.addressOf(code.by) === address,
    );
    const mates = given.filter(
      (code) => !own.includes(code) && this.placeOf(code) === mailbox(address as string),
    );
    return { own, places: own.length + mates.length };
  }

  /** The mailbox whose place a guest's code took when it was claimed. */
  private readonly places = new Map<string, string>();
  private placeOf = (code: CodeFacts): string | undefined => this.places.get(code.id);

  claim(ask: { by: Named; pool: string; key: string }): Answer {
    const { recipient } = ask.by;
    if (recipient && this.recipient(recipient)?.pool !== ask.pool)
      return { refused: 'NO_SUCH_CLAIMANT' };
    const limit = this.pools.find((pool) => pool.id === ask.pool)?.limit as number;
    const { own, places } = this.countedFor(ask.by, ask.pool);
    const named = own.filter((code) => limit === 1 || code.key === ask.key);
    const held = named.filter((code) => code.status === 'ALLOCATED');
    if (held.length > 0) return { held: best(held) };
    const gone = own.some((code) => code.status === 'REVOKED' && code.key === ask.key);
    if (gone || places >= limit) return { refused: 'CLAIM_LIMIT_REACHED' };
    const free = this.codes.some((code) => code.pool === ask.pool && code.status === 'AVAILABLE');
    return free ? { free: true } : { refused: 'POOL_EXHAUSTED' };
  }

  give(code: CodeFacts, to: { by: Named; key: string; seen: boolean }) {
    Object.assign(code, { status: 'ALLOCATED', at: ++this.now, ...to });
    const address = this.addressOf(to.by);
    const found = this.bestOf(to.by);
    if (found) Object.assign(code, found);
    else if (address) this.places.set(code.id, mailbox(address));
  }

  /** An address that becomes verified: what has no owner is bound, the rest are conflicts. */
  set(member: MemberFacts, to: { email: string | null; verified: boolean }) {
    const became = to.verified && !(member.verified && member.email === to.email);
    Object.assign(member, to);
    if (!became) return;
    for (const code of this.codes) {
      const match = code.by && this.matchOf(code.by, member);
      if (match === undefined || code.owner === member.id) continue;
      if (code.owner === undefined) Object.assign(code, this.bestOf(code.by as Named));
      else this.conflict({ code: code.id, owner: code.owner, other: member.id });
    }
  }

  private conflict(found: { code: string; owner: string; other: string }) {
    const isSame = (c: typeof found) =>
      c.code === found.code && c.owner === found.owner && c.other === found.other;
    if (!this.conflicts.some(isSame)) this.conflicts.push(found);
  }

  revoke(code: CodeFacts) {
    code.status = 'REVOKED';
  }

  /**
   * All of a pool with replacements: the seen ones, and those that stand in for a seen one, get the
   * free ones that nobody has seen. Where these are too few nothing is done, and what is missing is
   * the answer.
   */
  replaceAll(pool: string): { revoked: number; recycled: number; replaced: number } | number {
    const held = this.codes.filter((code) => code.pool === pool && code.status === 'ALLOCATED');
    const promised = held.filter(({ seen, standsIn }) => seen || standsIn);
    const unseen = held.filter((code) => !promised.includes(code));
    const free = this.codes.filter(
      (code) => code.pool === pool && code.status === 'AVAILABLE' && !code.seen,
    );
    const missing = promised.length - free.length - unseen.length;
    if (missing > 0) return missing;
    for (const code of unseen) this.free(code);
    for (const code of promised) this.revoke(code);
    const fresh = this.codes.filter((code) => free.includes(code) || unseen.includes(code));
    for (const [i, code] of promised.entries()) this.putInPlace(code, fresh[i] as CodeFacts);
    return { revoked: promised.length, recycled: unseen.length, replaced: promised.length };
  }

  private free(code: CodeFacts) {
    const { id, pool } = code;
    for (const name of Object.keys(code)) delete code[name as keyof CodeFacts];
    Object.assign(code, { id, pool, status: 'AVAILABLE', seen: false });
    this.places.delete(id);
  }

  private putInPlace(old: CodeFacts, fresh: CodeFacts) {
    const { by, key, owner, match } = old;
    Object.assign(fresh, { status: 'ALLOCATED', by, key, at: ++this.now });
    Object.assign(fresh, { seen: false, standsIn: true });
    if (owner) Object.assign(fresh, { owner, match });
    old.replacedBy = fresh.id;
    const place = this.places.get(old.id);
    if (place) this.places.set(fresh.id, place);
    this.places.delete(old.id);
  }
}

/** The best by precedence (of a guest's: as it would match), then the oldest; the equal ones. */
function best(codes: CodeFacts[]): CodeFacts[] {
  const rank = (code: CodeFacts) =>
    (code.match ?? (code.by?.recipient ? 2 : 3)) * 1e9 + (code.at ?? 0);
  const least = Math.min(...codes.map(rank));
  return codes.filter((code) => rank(code) === least);
}
