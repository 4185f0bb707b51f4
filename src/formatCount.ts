/** Three significant digits with a decimal prefix: 272474 as `272 k`, 41.2e6 as `41.2 M`, 64 as `64 `. */
export function formatCount(count: number): string {
  const rounded = Number(count.toPrecision(3));
  const power = [1e3, 1e6, 1e9].filter((unit) => rounded >= unit).length;
  const scaled = rounded / 1000 ** power;
  return power === 0 ? `${count} ` : `${scaled.toPrecision(3)} ${'kMG'[power - 1]}`;
}
