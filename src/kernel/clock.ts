/**
 * Real time, for machinery: tokens, attempt budgets, ids. The domain never asks it: what a program
 * believes the time to be is answered by the SQL function `program_now`.
 */
export type Clock = { now(): Date };

export const systemClock: Clock = { now: () => new Date() };
