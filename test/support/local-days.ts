/** Local days as Intl knows them: slow, and not how the engine counts. */
export const MINUTE = 60_000;
const QUARTER = 15 * MINUTE;
const DAY = 1_440 * MINUTE;

export type Days = ReturnType<typeof localDays>;

/** A year of a whole shop asks for the same few days millions of times. */
function remembered<Of, Answer>(answer: (of: Of) => Answer): (of: Of) => Answer {
  const known = new Map<Of, Answer>();
  return (of) => {
    const told = known.get(of) ?? answer(of);
    known.set(of, told);
    return told;
  };
}

const utc = (day: string): number => Date.parse(`${day}T00:00:00Z`);
const text = (at: number): string => new Date(at).toISOString().slice(0, 10);

const daysAfter = remembered((days: number) =>
  remembered((day: string) => text(utc(day) + days * DAY)),
);

/** Cut to the month's last day. */
const monthsAfter = remembered((months: number) =>
  remembered((day: string) => {
    const [year, month, date] = day.split('-').map(Number) as [number, number, number];
    const last = new Date(Date.UTC(year, month + months, 0));
    return text(last.setUTCDate(Math.min(date, last.getUTCDate())));
  }),
);

export function localDays(timeZone: string) {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' });
  const of = remembered((at: number) => format.format(at));
  /** The first quarter of an hour, of all that could be, that has this date or a later one. */
  const startOf = remembered((day: string) => {
    let at = utc(day) - 15 * 60 * MINUTE;
    while (format.format(at) < day) at += QUARTER;
    return at;
  });
  return {
    of,
    startOf,
    plusDays: (day: string, days: number): string => daysAfter(days)(day),
    plusMonths: (day: string, months: number): string => monthsAfter(months)(day),
  };
}
