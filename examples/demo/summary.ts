/** What came out, in lines. */
import { money, sum } from './cdnow.ts';
import type { Plan } from './plan.ts';
import { answeredPoints } from './points-check.ts';
import type { Played } from './scenario.ts';

export function summary(plan: Plan, played: Played): string[] {
  const sales = sum(plan.purchases.map(({ cents }) => cents));
  const amount = sum(played.redemptions.map(({ orderAmount }) => orderAmount));
  const discount = sum(played.redemptions.map(({ discountAmount }) => discountAmount));
  const { stats } = played;
  return [
    'The pool',
    ...Object.entries(stats).map(([name, number]) => row(name, count(number))),
    '',
    'The orders with a code',
    row('orders', count(played.redemptions.length)),
    row('amount', money(amount)),
    row('discount given', money(discount)),
    row('revenue', money(amount - discount)),
    '',
    `All ${count(plan.purchases.length)} purchases`,
    row('amount', money(sales)),
    row('revenue', money(sales - discount)),
    '',
    'The points',
    ...points(played),
  ];
}

function points(played: Played): string[] {
  const { value, ...moved } = answeredPoints(played);
  return [
    ...Object.entries(moved).map(([name, number]) => row(name, count(number))),
    row('cost', money(value)),
  ];
}

const count = (number: number): string => number.toLocaleString('en-US');

const row = (name: string, value: string): string => `  ${name.padEnd(16)}${value.padStart(14)}`;
