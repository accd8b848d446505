/**
 * What the ledger ought to hold, in plain arrays, after the specification and not after the engine:
 * every rule is the sentence that states it, every sum is added up anew. A refusal may have any
 * reason that holds. One oracle may follow a whole program, or one of its members.
 */
import { type Days, MINUTE } from './local-days.ts';

export type Terms = {
  minAmount: number;
  /** Points a major unit, in millionths. */
  rate: number;
  /** Digits behind the point of the currency. */
  digits: number;
  cap: number | null;
  expiryMonths: number | null;
  maturityDays: number;
  backdateDays: number;
  earliestExpiry: boolean;
};
export type Holder = { id: string; multiplier: number; debt: number };
export type Lot = {
  member: string;
  source: string;
  order: string | null;
  generation: number;
  amount: number | null;
  requested: number;
  points: number;
  remaining: number;
  expired: number;
  reversed: number;
  cancelled: number;
  forgone: number;
  /** Minor units. */
  refunded: number;
  zero: string | null;
  day: string;
  cap: number | null;
  earnedAt: number;
  maturesAt: number;
  expiresAt: number | null;
};
export type Draw = { lot: Lot; points: number; refunded: number };
export type Spend = {
  key: string;
  member: string;
  points: number;
  refunded: number;
  draws: Draw[];
};
export type Entry = {
  member: string;
  kind: 'AWARD' | 'SPEND' | 'REFUND' | 'EXPIRE' | 'REVERSE';
  points: number;
  after: number;
  lot: Lot | null;
  at: number;
};
export type Refund = {
  id: string;
  source: string;
  order: string;
  generation: number;
  amount: number;
  pending: boolean;
  reversed: number;
  debt: number;
};
export type Purchase = {
  member: string;
  source: string;
  order: string;
  generation: number;
  amount: number;
  at?: number;
};
export type Said<T> = { ok: T; repeated: boolean } | { refused: string[] };

const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
const done = <T>(ok: T) => ({ ok, repeated: false });
const again = <T>(ok: T) => ({ ok, repeated: true });

export class Oracle {
  now: number;
  /** The first local day whose work is not done. */
  private undone: string;
  readonly terms: Terms;
  readonly days: Days;
  readonly holders: Holder[];
  readonly lots: Lot[] = [];
  readonly spends: Spend[] = [];
  readonly entries: Entry[] = [];
  readonly refunds: Refund[] = [];
  private readonly keys = new Map<string, { payload: string; lot?: Lot }>();

  constructor(of: { now: number; terms: Terms; days: Days; holders: Holder[] }) {
    this.now = of.now;
    this.terms = of.terms;
    this.days = of.days;
    this.holders = of.holders;
    this.undone = of.days.plusDays(of.days.of(of.now), 1);
  }

  holder = (id: string) => this.holders.find((one) => one.id === id) as Holder;
  lotsOf = (member: string) => this.lots.filter((lot) => lot.member === member);
  private over = (lot: Lot) => lot.expiresAt !== null && lot.expiresAt <= this.now;
  private live = (member: string) => this.lotsOf(member).filter((lot) => !this.over(lot));

  outstanding = (member: string) => sum(this.lotsOf(member).map((lot) => lot.remaining));
  balance = (member: string) =>
    sum(this.live(member).map((lot) => (lot.maturesAt <= this.now ? lot.remaining : 0)));
  pending = (member: string) =>
    sum(this.live(member).map((lot) => (lot.maturesAt > this.now ? lot.remaining : 0)));

  quote(ask: { member: string; amount: number; at: number }) {
    const { minAmount, rate, digits, cap } = this.terms;
    const exact = BigInt(ask.amount) * BigInt(rate) * BigInt(this.holder(ask.member).multiplier);
    const points = Number(exact / 10n ** BigInt(digits + 4 + 6));
    const requested = ask.amount < minAmount ? 0 : points;
    const day = this.days.of(ask.at);
    const sameDay = this.lotsOf(ask.member).filter((lot) => lot.order && lot.day === day);
    const room = cap === null ? requested : Math.max(0, cap - sum(sameDay.map((l) => l.points)));
    return { day, requested, awarded: Math.min(requested, room) };
  }

  award(bought: Purchase): Said<Lot> {
    const { member, source, order, generation, amount } = bought;
    const named = (n: number) =>
      this.lots.find((l) => l.source === source && l.order === order && l.generation === n);
    const known = named(generation);
    if (known)
      return known.member === member && known.amount === amount
        ? again(known)
        : { refused: ['CONFLICT'] };
    const at = bought.at ?? this.now;
    const refused: string[] = [];
    if (at > this.now + 5 * MINUTE || at < this.now - this.terms.backdateDays * 1_440 * MINUTE)
      refused.push('BAD_USER_INPUT');
    const before = named(generation - 1);
    if (generation > 1 && (!before || before.refunded !== before.amount)) refused.push('CONFLICT');
    if (refused.length > 0) return { refused };
    const earnedAt = Math.min(at, this.now);
    const { requested, awarded } = this.quote({ member, amount, at: earnedAt });
    const why =
      amount < this.terms.minAmount ? 'BELOW_MINIMUM' : requested === 0 ? 'ZERO_RATE' : 'CAPPED';
    const lot = this.earn({
      ...{ member, source, order, generation, amount, requested, earnedAt },
      points: awarded,
      zero: awarded > 0 ? null : why,
      cap: requested > 0 ? this.terms.cap : null,
    });
    const early = this.refunds.filter(
      (r) => r.pending && r.source === source && r.order === order && r.generation === generation,
    );
    for (const refund of early) this.takeBack(refund, lot);
    return done(lot);
  }

  grant(ask: { member: string; points: number; key: string; expiresAt?: number }): Said<Lot> {
    const known = this.keys.get(`grant ${ask.key}`);
    const payload = `${ask.member} ${ask.points}`;
    if (known)
      return known.payload === payload ? again(known.lot as Lot) : { refused: ['CONFLICT'] };
    const lot = this.earn({
      ...{ member: ask.member, source: 'MANUAL', order: null, generation: 1, amount: null },
      ...{ requested: ask.points, points: ask.points, zero: null, cap: null, earnedAt: this.now },
      ...(ask.expiresAt === undefined ? {} : { expiresAt: ask.expiresAt }),
    });
    this.keys.set(`grant ${ask.key}`, { payload, lot });
    return done(lot);
  }

  protected earn(
    of: Pick<Lot, 'member' | 'source' | 'order' | 'generation' | 'amount' | 'requested'> &
      Pick<Lot, 'points' | 'zero' | 'cap' | 'earnedAt'> & { expiresAt?: number },
  ): Lot {
    const { maturityDays, expiryMonths } = this.terms;
    const day = this.days.of(of.earnedAt);
    const last = expiryMonths === null ? null : this.days.plusMonths(day, expiryMonths);
    const lot: Lot = {
      ...{ expired: 0, reversed: 0, cancelled: 0, forgone: 0, refunded: 0, day },
      remaining: of.points,
      maturesAt:
        maturityDays === 0 ? of.earnedAt : this.days.startOf(this.days.plusDays(day, maturityDays)),
      expiresAt: last === null ? null : this.days.startOf(this.days.plusDays(last, 1)),
      ...of,
    };
    this.lots.push(lot);
    if (lot.points > 0) this.write(lot.member, { kind: 'AWARD', points: lot.points, lot });
    this.payDebt(lot, lot.points);
    return lot;
  }

  private write(member: string, { kind, points, lot }: Pick<Entry, 'kind' | 'points' | 'lot'>) {
    const own = this.entries.filter((entry) => entry.member === member);
    const after = sum(own.map((entry) => entry.points)) + points;
    this.entries.push({ member, kind, points, after, lot, at: this.now });
  }

  /** Whatever comes in and can be used pays first. */
  private payDebt(lot: Lot, points: number) {
    const holder = this.holder(lot.member);
    const paid = Math.min(holder.debt, points);
    if (paid === 0 || this.over(lot)) return;
    holder.debt -= paid;
    this.leave(lot, { as: 'reversed', points: paid });
  }

  private leave(lot: Lot, { as, points }: { as: 'reversed' | 'expired'; points: number }) {
    lot.remaining -= points;
    lot[as] += points;
    const kind = as === 'expired' ? 'EXPIRE' : 'REVERSE';
    this.write(lot.member, { kind, points: -points, lot });
  }

  private oldestFirst = (lots: Lot[]) =>
    [...lots].sort(
      (a, b) => a.earnedAt - b.earnedAt || this.lots.indexOf(a) - this.lots.indexOf(b),
    );

  spend(ask: { member: string; points: number; key: string }): Said<Spend> {
    const known = this.spends.find((spend) => spend.key === ask.key);
    if (known)
      return known.member === ask.member && known.points === ask.points
        ? again(known)
        : { refused: ['CONFLICT'] };
    if (this.balance(ask.member) < ask.points) return { refused: ['INSUFFICIENT_POINTS'] };
    const open = this.oldestFirst(
      this.live(ask.member).filter((lot) => lot.maturesAt <= this.now && lot.remaining > 0),
    );
    const end = (lot: Lot) => lot.expiresAt ?? Number.MAX_SAFE_INTEGER;
    if (this.terms.earliestExpiry) open.sort((a, b) => end(a) - end(b));
    const spend: Spend = { ...ask, refunded: 0, draws: [] };
    for (const lot of open) {
      const points = Math.min(lot.remaining, ask.points - sum(spend.draws.map((d) => d.points)));
      if (points === 0) break;
      lot.remaining -= points;
      spend.draws.push({ lot, points, refunded: 0 });
    }
    this.spends.push(spend);
    this.write(ask.member, { kind: 'SPEND', points: -ask.points, lot: null });
    return done(spend);
  }

  refundSpend(ask: { spend: Spend; points: number; key: string }): Said<Spend> {
    const known = this.keys.get(`refund ${ask.key}`);
    const payload = `${ask.spend.key} ${ask.points}`;
    if (known) return known.payload === payload ? again(ask.spend) : { refused: ['CONFLICT'] };
    if (ask.points > ask.spend.points - ask.spend.refunded) return { refused: ['CONFLICT'] };
    this.keys.set(`refund ${ask.key}`, { payload });
    ask.spend.refunded += ask.points;
    let left = ask.points;
    for (const draw of [...ask.spend.draws].reverse()) {
      const points = Math.min(left, draw.points - draw.refunded);
      if (points === 0) continue;
      left -= points;
      draw.refunded += points;
      draw.lot.remaining += points;
      this.write(draw.lot.member, { kind: 'REFUND', points, lot: draw.lot });
      if (this.over(draw.lot)) this.leave(draw.lot, { as: 'expired', points });
      else this.payDebt(draw.lot, points);
    }
    return done(ask.spend);
  }

  reverse(ask: Omit<Refund, 'pending' | 'reversed' | 'debt'>): Said<Refund> {
    const same = (r: { source: string; order: string | null; generation: number }) =>
      r.source === ask.source && r.order === ask.order && r.generation === ask.generation;
    const known = this.refunds.find((r) => r.source === ask.source && r.id === ask.id);
    if (known)
      return same(known) && known.amount === ask.amount ? again(known) : { refused: ['CONFLICT'] };
    const lot = this.lots.find(same);
    if (lot && lot.refunded + ask.amount > (lot.amount as number)) return { refused: ['CONFLICT'] };
    const refund: Refund = { ...ask, pending: true, reversed: 0, debt: 0 };
    this.refunds.push(refund);
    if (lot) this.takeBack(refund, lot);
    return done(refund);
  }

  private takeBack(refund: Refund, lot: Lot) {
    this.sweep(lot.member);
    const amount = lot.amount as number;
    lot.refunded = Math.min(amount, lot.refunded + refund.amount);
    const share = (BigInt(lot.points) * BigInt(lot.refunded)) / BigInt(amount || 1);
    let missing = (lot.refunded === amount ? lot.points : Number(share)) - lot.cancelled;
    lot.cancelled += missing;
    const take = (from: Lot) => {
      const points = Math.min(missing, from.remaining);
      if (points === 0) return;
      missing -= points;
      refund.reversed += points;
      this.leave(from, { as: 'reversed', points });
    };
    take(lot);
    const gone = Math.min(missing, lot.expired - lot.forgone);
    lot.forgone += gone;
    missing -= gone;
    for (const other of this.oldestFirst(this.live(lot.member))) take(other);
    this.holder(lot.member).debt += missing;
    Object.assign(refund, { pending: false, debt: missing });
  }

  /** Writes off what has expired, as of now or an earlier instant. */
  sweep(member: string, asOf = this.now) {
    const due = this.lots.filter(
      ({ member: whose, remaining, expiresAt }) =>
        whose === member && remaining > 0 && expiresAt !== null && expiresAt <= asOf,
    );
    for (const lot of this.oldestFirst(due))
      this.leave(lot, { as: 'expired', points: lot.remaining });
  }

  /** By hand: the days that were missed and today, each as of its start. */
  sweepToday() {
    const today = this.days.of(this.now);
    const first = this.undone < today ? this.undone : today;
    for (let day = first; day <= today; day = this.days.plusDays(day, 1))
      for (const { id } of this.holders) this.sweep(id, this.days.startOf(day));
  }

  /** The clock alone. */
  tick(to: number) {
    this.now = to;
  }

  /**
   * The clock with the work of every local day that it passes, at the start of that day; of days
   * that passed without their work, now.
   */
  advance(to: number) {
    for (; this.days.startOf(this.undone) <= to; this.undone = this.days.plusDays(this.undone, 1)) {
      const start = this.days.startOf(this.undone);
      this.now = Math.max(this.now, start);
      this.work(this.undone);
    }
    this.now = to;
  }

  /** What the start of a day brings, judged as of that start. */
  protected work(day: string) {
    for (const { id } of this.holders) this.sweep(id, this.days.startOf(day));
  }
}
