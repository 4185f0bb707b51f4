const decimal = { '': 1, k: 1e3, M: 1e6, G: 1e9 } as const;
const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** Bytes that a text such as `500kB`, `1MB`, `1.5MiB` or `4096` says; undefined for any other text. */
export function parseBytes(text: string): number | undefined {
  return parseUnits(text, byteUnits);
}

/** The number that a text such as `100M`, `1.5G`, `200k` or `4096` says; undefined for any other text. */
export function parseCount(text: string): number | undefined {
  return parseUnits(text, decimal);
}

function parseUnits(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(text) ?? [];
  if (digits === undefined || !Object.hasOwn(units, unit!)) return undefined;
  const value = Number(digits) * units[unit!]!;
  return value > 0 && value < Infinity ? value : undefined;
}
