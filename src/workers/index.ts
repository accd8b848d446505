export { advanceClock } from './advance-clock.ts';
export { listFailures } from './failures.ts';
export { startWorkers } from './fleet.ts';
export { fleetMetrics } from './metrics.ts';
export { type Reconciliation, reconcile } from './reconcile.ts';
export { runWorker } from './run-worker.ts';
export type { WorkerRun } from './task.ts';
