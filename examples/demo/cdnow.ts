/** The purchases of examples/cdnow, in whole cents: no amount is ever a floating-point number. */
import { readFile } from 'node:fs/promises';

const FILE = new URL('../cdnow/purchases.txt', import.meta.url);
const LINE = /^ *(\d{5}) +(\d{4})(\d{2})(\d{2}) +(\d+) +(\d+)\.(\d{2})$/;

export type Purchase = {
  /** `customer-date-n`, because the file has no key of its own. */
  orderId: string;
  customer: string;
  /** YYYY-MM-DD, local to the shop. */
  date: string;
  cds: number;
  cents: number;
};

export async function readPurchases(): Promise<Purchase[]> {
  return parsePurchases(await readFile(FILE, 'utf8'));
}

/** In the order of the file. Throws on a line that is not a purchase, naming its number. */
export function parsePurchases(text: string): Purchase[] {
  const counts = new Map<string, number>();
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/);
  return lines.map((line, index) => {
    const purchase = parseLine(line);
    if (!purchase) throw new Error(`line ${index + 1}: expected customer, date, CDs and amount`);
    const day = `${purchase.customer}-${purchase.date.replaceAll('-', '')}`;
    const n = (counts.get(day) ?? 0) + 1;
    counts.set(day, n);
    return { orderId: `${day}-${n}`, ...purchase };
  });
}

function parseLine(line: string): Omit<Purchase, 'orderId'> | undefined {
  const [whole, customer = '', year, month, day, cds, dollars, cents] = LINE.exec(line) ?? [];
  if (whole === undefined) return undefined;
  return {
    customer,
    date: `${year}-${month}-${day}`,
    cds: Number(cds),
    cents: Number(dollars) * 100 + Number(cents),
  };
}

/** Each customer's first purchase of at least so many cents; who has none is left out. */
export function firstPurchases(purchases: readonly Purchase[], atLeast: number): Purchase[] {
  const first = new Map<string, Purchase>();
  for (const purchase of purchases)
    if (purchase.cents >= atLeast && !first.has(purchase.customer))
      first.set(purchase.customer, purchase);
  return [...first.values()];
}

export const customersOf = (purchases: readonly Purchase[]): string[] => [
  ...new Set(purchases.map(({ customer }) => customer)),
];

/** Every date from the first to the last, those without a purchase included. */
export function daysBetween(first: string, last: string): string[] {
  const days: string[] = [];
  for (let day = first; day <= last; day = dayAfter(day)) days.push(day);
  return days;
}

export function dayAfter(date: string, days = 1): string {
  const [year = 0, month = 0, day = 0] = date.split('-').map(Number);
  return new Date(Date.UTC(year, month - 1, day + days)).toISOString().slice(0, 10);
}

export const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** 77331.09 as `77,331.09`, from cents. */
export function money(cents: number): string {
  const rest = String(cents % 100).padStart(2, '0');
  return `${((cents - (cents % 100)) / 100).toLocaleString('en-US')}.${rest}`;
}
