import { Gauge, type Registry } from 'prom-client';

type Means = { metrics: Registry };

/** Registers numbers once in a process, when somebody first needs them. */
export function registeredOnce<With extends Means, Made>(
  register: (means: With) => Made,
): (means: With) => Made {
  const known = new WeakMap<Registry, Made>();
  return (means) => {
    const made = known.get(means.metrics) ?? register(means);
    known.set(means.metrics, made);
    return made;
  };
}

/**
 * A number that is read when somebody asks for it. What it is read from may be away, and must not
 * take the other numbers with it.
 */
export function watchNumber(
  { metrics }: Means,
  { name, help, read }: { name: string; help: string; read: () => Promise<number> },
): void {
  const gauge: Gauge = new Gauge({
    name,
    help,
    registers: [metrics],
    collect: async () => gauge.set(await read().catch(() => Number.NaN)),
  });
}

/** The same for one number of each kind, where there are any. */
export function watchCounts<Label extends string>(
  { metrics }: Means,
  of: { name: string; help: string; label: Label; read: () => Promise<Map<string, number>> },
): void {
  const { name, help, label, read } = of;
  const gauge: Gauge<Label> = new Gauge({
    name,
    help,
    labelNames: [label],
    registers: [metrics],
    collect: async () => {
      const counts = await read().catch(() => new Map<string, number>());
      gauge.reset();
      for (const [kind, count] of counts) gauge.set({ [label]: kind } as never, count);
    },
  });
}
