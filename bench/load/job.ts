/** One round of load, as the load process is told it, and what it answers. */
export type Job = {
  port: number;
  secretKey: string;
  connections: number;
  /**
   * The JSON to post. Each `@` in it is replaced by the next value, and each `#` by the number of
   * the request; ASCII only.
   */
  body: string;
  values: Values;
  /** What every answer must contain; the first one that does not ends the round with an error. */
  expect: string | string[];
  /**
   * Requests a second, each at its own moment: one that has to wait for a connection counts its
   * waiting. Without it, each connection sends as soon as it has its answer.
   */
  pace?: number;
  /** Until so many seconds have passed, or so many answers have come. */
  seconds?: number;
  count?: number;
};

export type Values =
  /**
   * Ids of members by their numbers; with `of`, over and over the first so many of them, beginning
   * with the `start`-th and going on by `step`; without it no more than `most`, if that is known.
   */
  | { kind: 'members'; from: number; most?: number; of?: number; start?: number; step?: number }
  | { kind: 'list'; list: string[] };

export type Measured = {
  /** Answers a second. */
  rate: number;
  completed: number;
  /** Requests that were sent: the number of the first value that was not used. */
  issued: number;
  /** Milliseconds; of no answers, none. */
  p50: number;
  p99: number;
  /** Of each request that came at a pace, also of one whose answer came after the time. */
  latencies?: number[];
};

/** The id of a member by its number; bench/sql makes the same from its own numbers. */
export const memberId = (number: number): string =>
  `00000000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
