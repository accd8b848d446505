/** How the cost grows: of a spend with the lots that are gone, of an award with the members. */
import type { Result } from '../report.ts';
import { alternate, type Round, WARM_UPS } from '../rounds.ts';
import { haveMembers, SPACES, settle, tidyLedger } from '../seed.ts';
import { giveLots, newShop, type Shop } from '../seed-points.ts';
import type { World } from '../world.ts';
import { awards } from './award.ts';
import { flatness, type Line } from './line.ts';
import { spends } from './spend.ts';

const titled = (count: number) => count.toLocaleString('en');

async function measured(
  world: World,
  sides: Record<string, () => Promise<Round>>,
  title: (name: string) => string,
): Promise<Result[]> {
  await settle(world);
  const plan = { rounds: world.options.rounds, between: () => tidyLedger(world), say: world.say };
  return flatness(await alternate(sides, plan), title);
}

/** As many as there are connections, so that each of them finds its member free. */
const SPENDERS = 64;
const SPENDS = 3_000;

/** A lot that is open for each spend to come, behind all those that are gone. */
async function spenders(world: World, { first, gone }: { first: number; gone: number }) {
  const rounds = world.options.rounds + WARM_UPS;
  const open = rounds * Math.ceil(SPENDS / SPENDERS);
  world.say(`lots of ${SPENDERS} members: ${titled(gone)} gone and ${open} open for each`);
  await haveMembers(world, { first, count: SPENDERS });
  await giveLots(world, { programId: world.programId, first, members: SPENDERS, gone, open });
}

export const oldLots: Line = {
  name: 'oldlots',
  about: 'spends of members with 10 and with 10,000 lots that are gone',
  run: async (world) => {
    const sides: Record<string, () => Promise<Round>> = {};
    for (const [n, gone] of world.options.oldLots.entries()) {
      const first = SPACES.spenders + n * SPENDERS;
      await spenders(world, { first, gone });
      let round = 0;
      sides[titled(gone)] = () => {
        const values = { kind: 'members', from: first, of: SPENDERS } as const;
        const key = `old-${gone}-${round++}`;
        return spends(world, { points: 10, key, count: SPENDS, values });
      };
    }
    return measured(world, sides, (gone) => `spend, ${gone} old lots`);
  },
};

const AWARDS = 4_000;
/** Prime to any number of members: whoever comes next is somewhere else in the tables. */
const STRIDE = 7_919;

async function aShop(world: World, members: number): Promise<Shop> {
  world.say(`a program of ${titled(members)} members`);
  const shop = await newShop(world.deps, `Shop of ${titled(members)}`);
  const { programId } = shop;
  await haveMembers({ ...world, programId }, { first: SPACES.shops, count: members });
  await giveLots(world, { programId, first: SPACES.shops, members, gone: 0, open: 1 });
  return shop;
}

/** Nobody is awarded twice: the smallest gets a new shop as soon as its members are used up. */
async function shopsOf(world: World, members: number) {
  const rounds = world.options.rounds + WARM_UPS;
  const each = Math.floor(members / AWARDS);
  const shops: Shop[] = [];
  while (shops.length * each < rounds) shops.push(await aShop(world, members));
  let round = 0;
  return () => {
    const { secretKey } = shops[Math.floor(round / each)] as Shop;
    const start = (round++ % each) * AWARDS;
    return { secretKey, start };
  };
}

export const crowds: Line = {
  name: 'crowds',
  about: 'awards in programs of 10,000 and of 1,000,000 members',
  run: async (world) => {
    const sides: Record<string, () => Promise<Round>> = {};
    for (const members of world.options.crowds) {
      const next = await shopsOf(world, members);
      sides[titled(members)] = () => {
        const { secretKey, start } = next();
        const values = { kind: 'members', from: SPACES.shops, of: members } as const;
        const spread = { ...values, start, step: STRIDE };
        return awards(world, { secretKey, count: AWARDS, values: spread });
      };
    }
    return measured(world, sides, (members) => `award, program of ${members} members`);
  },
};
