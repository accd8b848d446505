/** What the advisor says when no model does: the same suggestions for the same facts. */
import type { Facts, Offer, Proposal, SegmentFacts } from '../types.ts';
import {
  FEWEST_CODES,
  fitted,
  isRun,
  LEAST_RATE,
  type Limits,
  largestMinimum,
  shareOf,
  type Wish,
} from './limits.ts';

const WHOLE = 10_000;
/** Of orders, in minor units: an offer with odd amounts looks like a mistake. */
const STEP = 100;
/** Of rates: half a per cent. */
const RATE_STEP = 50;

type Rule = (limits: Limits) => Wish | undefined;
type Told = { title: string; rationale: string; name: string; offer: Partial<Offer> };

const rounded = (value: number, step: number): number => value - (value % step) || value;

/** A part of the program's limit. */
const rate = ({ maxDiscountRate }: Limits, part: number): number =>
  rounded(Math.trunc(maxDiscountRate / part), RATE_STEP);

const orders = ({ facts }: Limits, share: number): number =>
  rounded(shareOf(facts.averageOrder ?? 0, share), STEP);

/** The first that fits: the facts have those with the most revenue first. */
const segment = ({ facts }: Limits, fits: (one: SegmentFacts) => boolean) =>
  facts.segments.slice(1).find(fits);

const everyone = (facts: Facts): SegmentFacts => facts.segments[0] as SegmentFacts;

function wish(to: SegmentFacts, told: Told): Wish {
  return {
    title: told.title,
    rationale: told.rationale,
    segment: to.name,
    draft: {
      name: told.name,
      discountKind: 'PERCENT',
      discountValue: 0,
      maxDiscount: null,
      minOrderAmount: 0,
      ...told.offer,
      endsAt: null,
      perMemberLimit: 1,
      suggestedCount: to.members || FEWEST_CODES,
    },
  };
}

const winBack: Rule = (limits) => {
  const to = segment(limits, ({ recency }) => recency === 'LAPSED' || recency === 'LAPSING');
  return (
    to &&
    wish(to, {
      title: 'Win back members who stopped buying',
      rationale:
        `${to.members} members have not bought for ${to.notPurchasedForDays} days, and brought ` +
        'more than any other audience that is drifting away. No open pool makes this offer.',
      name: `Win back: ${to.name}`,
      offer: {
        discountValue: rate(limits, 3) * 2,
        minOrderAmount: orders(limits, WHOLE / 2),
      },
    })
  );
};

const firstOrder: Rule = (limits) => {
  const to = segment(limits, ({ recency }) => recency === 'NEVER');
  return (
    to &&
    wish(to, {
      title: 'Bring members to their first order',
      rationale:
        `${to.members} members have joined and bought nothing so far. ` +
        'An offer without a smallest order asks little of them.',
      name: `First order: ${to.name}`,
      offer: { discountValue: rate(limits, 2) },
    })
  );
};

const largerOrder: Rule = (limits) => {
  const isRegular = ({ recency, spending }: SegmentFacts) =>
    recency === 'ACTIVE' && spending !== 'HIGH';
  const to = segment(limits, isRegular);
  const amount = rounded(shareOf(limits.facts.averageOrder ?? 0, rate(limits, 3)), 50);
  return (
    to &&
    wish(to, {
      title: 'Make active members’ orders larger',
      rationale:
        `${to.members} members buy, but have not spent much. ` +
        'An amount off beyond one and a half average orders rewards a fuller basket.',
      name: `Larger order: ${to.name}`,
      offer: {
        discountKind: 'AMOUNT',
        discountValue: amount,
        minOrderAmount: orders(limits, (WHOLE * 3) / 2),
      },
    })
  );
};

const thanks: Rule = (limits) => {
  const isBest = ({ recency, spending }: SegmentFacts) =>
    recency === 'ACTIVE' && spending === 'HIGH';
  const to = segment(limits, isBest);
  return (
    to &&
    wish(to, {
      title: 'Thank the best customers without a discount',
      rationale:
        `${to.members} members buy now and have spent the most. ` +
        'A gift with an average order keeps them, and costs no margin on the price.',
      name: `Thank you: ${to.name}`,
      offer: { discountKind: 'GIFT', minOrderAmount: orders(limits, WHOLE) },
    })
  );
};

const RULES: Rule[] = [winBack, firstOrder, largerOrder, thanks];

const FOR_EVERYONE = {
  title: 'A short offer for everyone',
  rationale:
    'A small offer that anybody may take shows which audience answers, ' +
    'before a larger one is made to it.',
  name: 'Short offer for everyone',
};

/** A third of the limit, then less and less; where no discount is allowed, a gift. */
function forEveryone(limits: Limits): Proposal {
  const to = everyone(limits.facts);
  const offers: Partial<Offer>[] = [];
  for (let value = rate(limits, 3); value >= 0; value -= RATE_STEP)
    if (value >= LEAST_RATE || offers.length === 0) offers.push({ discountValue: value });
  offers.push({ discountKind: 'GIFT' });
  const wishes = offers.map((offer) => wish(to, { ...FOR_EVERYONE, offer }));
  return firstNew(
    wishes.flatMap((one) => fitted(one, limits) ?? []),
    limits,
  );
}

/**
 * The first that no open pool makes, each with larger and larger smallest orders: round ones, or
 * else any. Only where pools make all of those offers it is one that is run: there is always one.
 */
function firstNew(proposals: readonly Proposal[], limits: Limits): Proposal {
  const most = largestMinimum(limits.facts);
  for (const step of [STEP, 1])
    for (const { draft, ...words } of proposals)
      for (let minOrderAmount = 0; minOrderAmount <= most; minOrderAmount += step) {
        const raised = { ...words, draft: { ...draft, minOrderAmount } };
        if (!isRun(raised.draft, limits)) return raised;
      }
  return proposals[0] as Proposal;
}

/** One to five, the most promising first; none that an open pool makes already. */
export function applyRules(limits: Limits): Proposal[] {
  const wishes = RULES.flatMap((rule) => rule(limits) ?? []);
  const fitting = wishes.flatMap((one) => fitted(one, limits) ?? []);
  const fresh = fitting.filter(({ draft }) => !isRun(draft, limits));
  return [...fresh, forEveryone(limits)];
}
