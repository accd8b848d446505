/** Local days as Intl knows them: slow, and not how the engine counts. */
export const MINUTE = 60_000;
const QUARTER = 15 * MINUTE;
const DAY = 1_440 * MINUTE;

export type Days = ReturnType<typeof localDays>;

export function localDays(timeZone: string) {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' });
  const starts = new Map<string, number>();
  const of = (at: number): string => format.format(at);
  const utc = (day: string): number => Date.parse(`${day}T00:00:00Z`);
  const text = (at: number): string => new Date(at).toISOString().slice(0, 10);
  /** The first quarter of an hour, of all that could be, that has this date or a later one. */
  const startOf = (day: string): number => {
    let at = starts.get(day) ?? utc(day) - 15 * 60 * MINUTE;
    while (of(at) < day) at += QUARTER;
    starts.set(day, at);
    return at;
  };
  const plusDays = (day: string, days: number): string => text(utc(day) + days * DAY);
  return {
    of,
    startOf,
    plusDays,
    /** Cut to the month's last day. */
    plusMonths(day: string, months: number): string {
      const [year, month, date] = day.split('-').map(Number) as [number, number, number];
      const last = new Date(Date.UTC(year, month + months, 0));
      return text(last.setUTCDate(Math.min(date, last.getUTCDate())));
    },
    startNotBefore(at: number): number {
      const today = startOf(of(at));
      return today === at ? at : startOf(plusDays(of(at), 1));
    },
  };
}
