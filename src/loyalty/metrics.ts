import { Counter } from 'prom-client';
import type { Deps } from '../deps.ts';
import { registeredOnce } from '../kernel/metrics.ts';

export const ledgerMetrics = registeredOnce(({ metrics }: Pick<Deps, 'metrics'>) => {
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [metrics] });
  return {
    withheld: counter(
      'flash_awards_withheld_total',
      'Awards that were not given because the tracker of the daily cap did not answer',
    ),
    rebuilds: counter(
      'flash_cap_rebuilds_total',
      'Days of a member that the tracker had lost, or was ahead with, set anew from the ledger',
    ),
  };
});
