export { advanceClock } from './advance-clock.ts';
export { type Reconciliation, reconcile } from './reconcile.ts';
export { startWorkers } from './registry.ts';
