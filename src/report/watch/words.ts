/** How the methods' own losses are called, by the names of the terms in their events. */
const termNames: Readonly<Record<string, string>> = {
  info_nce: 'InfoNCE',
  nt_xent: 'NT-Xent',
  cross_entropy: 'cross entropy',
  seed: 'SEED',
};

export function termName(term: string): string {
  return termNames[term] ?? term;
}

/** Images a second: whole ones where there are many. */
export function formatSpeed(speed: number): string {
  return speed >= 10 ? speed.toFixed(0) : speed.toPrecision(2);
}
