/**
 * What tiers, bonuses and the daily work ought to come to, after the specification and not after
 * the engine: the plain ledger, with a rank for every member. It goes through each local day, and
 * adds every sum up anew.
 */
import { type Lot, Oracle, type Purchase, type Said } from './oracle.ts';

export type Rung = { qualify: number; maintain: number; multiplier: number };
export type TierTerms = {
  /** From the lowest on. */
  ladder: readonly Rung[];
  graceDays: number;
  warningDays: readonly number[];
  reupgradeBonus: number;
  reupgradeWindowMonths: number;
  birthdayBonus: number;
  reengagementBonus: number;
  inactiveDays: number;
};
export type Reason = 'QUALIFIED' | 'GRACE_OVER' | 'LADDER_CHANGED';
export type Change = { from: number; to: number; reason: Reason; at: number };
/** Ranks count from 1. */
export type Standing = {
  rank: number;
  /** The local day with whose start it ends. */
  graceEnds: string | null;
  history: Change[];
  /** Each downgrade, by the rank that it took away. */
  losses: { rank: number; day: string; regained: boolean }[];
  /** Days on which a grace began, and on which it was warned of. */
  graces: string[];
  warnings: string[];
  birthday: string | null;
  congratulated: string[];
  /** The day of the latest purchase that a return was asked for after. */
  missedSince: string | null;
};

const YEAR = 12;

export class TiersOracle extends Oracle {
  readonly tiers: TierTerms;
  private readonly standings = new Map<string, Standing>();

  constructor(of: ConstructorParameters<typeof Oracle>[0] & { tiers: TierTerms }) {
    super(of);
    this.tiers = { ...of.tiers };
    for (const { id } of of.holders) {
      this.standings.set(id, {
        ...{ rank: 1, graceEnds: null, birthday: null, missedSince: null },
        ...{ history: [], losses: [], graces: [], warnings: [], congratulated: [] },
      });
      this.place(id, 1);
    }
  }

  standing = (member: string) => this.standings.get(member) as Standing;
  private rung = (rank: number) => this.tiers.ladder[rank - 1] as Rung;
  private today = () => this.days.of(this.now);

  private place(member: string, rank: number) {
    this.standing(member).rank = rank;
    this.holder(member).multiplier = this.rung(rank).multiplier;
  }

  /** Purchases alone, less what was cancelled of them, over the rolling twelve months. */
  metric(member: string, today = this.today()): number {
    const before = this.days.plusMonths(today, -YEAR);
    let total = 0;
    for (const lot of this.lots)
      if (lot.member === member && lot.order !== null && lot.day > before && lot.day <= today)
        total += lot.points - lot.cancelled;
    return total;
  }

  /** Nobody is judged anew by it, but everybody earns at their rank's new rate. */
  setTiers(ladder: readonly Rung[]) {
    this.tiers.ladder = ladder;
    for (const { id } of this.holders) this.place(id, this.standing(id).rank);
  }

  override award(bought: Purchase): Said<Lot> {
    const said = super.award(bought);
    if ('ok' in said && !said.repeated) this.judge(bought.member);
    return said;
  }

  override grant(ask: Parameters<Oracle['grant']>[0]): Said<Lot> {
    const said = super.grant(ask);
    if ('ok' in said && !said.repeated) this.judge(ask.member);
    return said;
  }

  private judge = (member: string) =>
    this.promote(member, { day: this.today(), reason: 'QUALIFIED' });

  /** To the highest rank whose threshold is reached; ranks that come back are rewarded. */
  private promote(member: string, { day, reason }: { day: string; reason: Reason }): boolean {
    const standing = this.standing(member);
    const metric = this.metric(member, day);
    const from = standing.rank;
    const to = this.tiers.ladder.filter(({ qualify }) => qualify <= metric).length;
    if (to <= from) return false;
    this.place(member, to);
    standing.graceEnds = null;
    standing.history.push({ from, to, reason, at: this.now });
    const since = this.days.plusMonths(day, -this.tiers.reupgradeWindowMonths);
    for (const loss of standing.losses) {
      const regained = !loss.regained && loss.rank > from && loss.rank <= to && loss.day >= since;
      if (!regained || this.tiers.reupgradeBonus === 0) continue;
      loss.regained = true;
      this.bonus(member, { source: 'REUPGRADE', points: this.tiers.reupgradeBonus });
    }
    return true;
  }

  private bonus(member: string, { source, points }: { source: string; points: number }) {
    this.earn({
      ...{ member, source, points, requested: points, earnedAt: this.now },
      ...{ order: null, generation: 1, amount: null, zero: null, cap: null },
    });
  }

  protected override work(day: string) {
    super.work(day);
    for (const { id } of this.holders) this.evaluate(id, day);
    for (const { id } of this.holders) this.congratulate(id, day);
    for (const { id } of this.holders) this.miss(id, day);
  }

  private evaluate(member: string, day: string) {
    const standing = this.standing(member);
    if (this.promote(member, { day, reason: 'LADDER_CHANGED' })) return;
    const { rank } = standing;
    if (this.metric(member, day) >= this.rung(rank).maintain) {
      standing.graceEnds = null;
      return;
    }
    if (standing.graceEnds === null) {
      standing.graceEnds = this.days.plusDays(day, this.tiers.graceDays);
      standing.graces.push(day);
    }
    const { graceEnds } = standing;
    if (day >= graceEnds) {
      this.place(member, rank - 1);
      standing.graceEnds = null;
      standing.losses.push({ rank, day, regained: false });
      standing.history.push({ from: rank, to: rank - 1, reason: 'GRACE_OVER', at: this.now });
    } else if (this.tiers.warningDays.some((n) => this.days.plusDays(day, n) === graceEnds))
      standing.warnings.push(day);
  }

  /** Once a year; who was born on a leap day celebrates on the 28th where there is none. */
  private congratulate(member: string, day: string) {
    const { birthday, congratulated } = this.standing(member);
    if (birthday === null || this.tiers.birthdayBonus === 0) return;
    const year = day.slice(0, 4);
    const years = Number(year) - Number(birthday.slice(0, 4));
    if (this.days.plusMonths(birthday, YEAR * years) !== day) return;
    if (congratulated.includes(year)) return;
    congratulated.push(year);
    this.bonus(member, { source: 'BIRTHDAY', points: this.tiers.birthdayBonus });
    this.judge(member);
  }

  /** Once a spell, which begins with the latest purchase. */
  private miss(member: string, day: string) {
    if (this.tiers.reengagementBonus === 0) return;
    const standing = this.standing(member);
    const bought = this.lotsOf(member).filter((lot) => lot.order !== null);
    const latest = bought.map((lot) => lot.day).reduce((a, b) => (a > b ? a : b), '');
    if (latest === '' || latest === standing.missedSince) return;
    if (this.days.plusDays(latest, this.tiers.inactiveDays) !== day) return;
    standing.missedSince = latest;
    this.bonus(member, { source: 'REENGAGEMENT', points: this.tiers.reengagementBonus });
    this.judge(member);
  }
}
