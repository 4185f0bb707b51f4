/** Names of classes in their order, each once: numbers by their value where all of them are, else by code unit. */
export function orderedClasses(names: Iterable<string | null>): string[] {
  const classes = [...new Set(names)].filter((name) => name !== null).sort();
  const areNumbers = classes.every((name) => /^(0|[1-9]\d{0,14})$/.test(name));
  return areNumbers ? classes.sort((a, b) => Number(a) - Number(b)) : classes;
}

/** Index into `classes` of each name; -1 for none. */
export function labelsIn(classes: readonly string[], names: readonly (string | null)[]): Int32Array {
  const indices = new Map(classes.map((name, index) => [name, index]));
  return Int32Array.from(names, (name) => (name === null ? -1 : indices.get(name)!));
}
