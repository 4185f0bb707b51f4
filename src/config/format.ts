/** One key whose value differs between two configs; a key that one of them lacks is undefined there. */
export interface ConfigDifference {
  /** e.g. `method.queueSize`. */
  readonly path: string;
  readonly a: unknown;
  readonly b: unknown;
}

/** The config as JSON that `loadConfig` reads back: two spaces a level, lists on one line. */
export function formatConfig(config: object): string {
  return `${formatValue(config, '')}\n`;
}

function formatValue(value: unknown, indent: string): string {
  if (Array.isArray(value)) return `[${value.map((item) => JSON.stringify(item)).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const lines = Object.entries(value).map(
    ([key, v]) => `${inner}${JSON.stringify(key)}: ${formatValue(v, inner)}`,
  );
  return `{\n${lines.join(',\n')}\n${indent}}`;
}

/** The keys in which two configs differ, in the order of `a`, then those that only `b` has. Lists count as one value. */
export function diffConfigs(a: object, b: object): ConfigDifference[] {
  const left = new Map(leaves(a));
  const right = new Map(leaves(b));
  return [...new Set([...left.keys(), ...right.keys()])]
    .map((path) => ({ path, a: left.get(path), b: right.get(path) }))
    .filter((difference) => JSON.stringify(difference.a) !== JSON.stringify(difference.b));
}

/** The values of a config, lists as a whole, by path. */
export function leaves(value: object, prefix = ''): [path: string, value: unknown][] {
  return Object.entries(value).flatMap(([key, child]): [string, unknown][] =>
    typeof child === 'object' && child !== null && !Array.isArray(child)
      ? leaves(child as object, `${prefix}${key}.`)
      : [[`${prefix}${key}`, child]],
  );
}
