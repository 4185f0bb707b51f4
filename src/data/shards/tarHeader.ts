/** A block that describes what follows in a tar archive (POSIX.1-2017, pax; GNU tar's manual, "Basic Tar Format"). */
export interface TarHeader {
  /** Type flag, one character. */
  readonly type: string;
  readonly name: string;
  /** In bytes, as the field says; NaN where it says nothing that a size can be. */
  readonly size: number;
}

/** Where the checksum stands, which counts as spaces. */
const sum = { start: 148, end: 156 };

/**
 * The header in a block of 512 bytes; null for a block of zeros, undefined for one that is no header. Fields that a
 * reader of contents has no use for (owners, times) are not looked at, and may hold anything: node-tar's own reader gives
 * up the whole archive for a time beyond 2 ** 53 or the label of a volume, where Python's `tarfile` reads on.
 */
export function readTarHeader(block: Buffer): TarHeader | null | undefined {
  let unsigned = 0;
  // As some old ones have added them up.
  let negative = 0;
  for (let i = 0; i < block.length; i++) {
    const byte = block[i]!;
    unsigned += byte;
    if (byte > 127) negative += 256;
  }
  if (unsigned === 0) return null;
  for (let i = sum.start; i < sum.end; i++) {
    const byte = block[i]!;
    unsigned += 0x20 - byte;
    if (byte > 127) negative -= 256;
  }
  const expected = numberIn(block, sum.start, sum.end);
  if (expected !== unsigned && expected !== unsigned - negative) return undefined;
  const name = text(block, 0, 100);
  // Elsewhere GNU tar has times in the place of the prefix.
  const isUstar = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isUstar ? text(block, 345, 500) : '';
  return {
    type: String.fromCharCode(block[156]!),
    name: prefix === '' ? name : `${prefix}/${name}`,
    size: numberIn(block, 124, 136),
  };
}

/** Octal digits, nothing for 0, or base 256 where the first bit is set; NaN for anything else, and below 0. */
function numberIn(block: Buffer, start: number, end: number): number {
  const first = block[start]!;
  if (first === 0x80) {
    let value = 0;
    // Beyond 2 ** 53 it is not exact, and larger than any archive.
    for (let i = start + 1; i < end; i++) value = 256 * value + block[i]!;
    return value;
  }
  let value = NaN;
  for (let i = start; i < end && block[i] !== 0; i++) {
    const digit = block[i]! - 0x30;
    if (digit >= 0 && digit <= 7) value = 8 * (Number.isNaN(value) ? 0 : value) + digit;
    else if (block[i] !== 0x20) return NaN;
    // What follows a number's space is no part of it.
    else if (!Number.isNaN(value)) break;
  }
  return Number.isNaN(value) && first < 0x80 ? 0 : value;
}

/** Of a pax header: its records by keyword, up to one that is damaged. Values may hold anything, line feeds too. */
export function paxRecords(content: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  // `LENGTH KEYWORD=VALUE\n`, with the length of all of it.
  for (let at = 0; at < content.length;) {
    const space = content.indexOf(' ', at);
    const digits = space < 0 ? '' : content.toString('latin1', at, space);
    const end = at + Number(digits);
    const equals = content.indexOf('=', space);
    if (!/^\d+$/.test(digits) || equals < 0 || equals >= end || end > content.length) break;
    records.set(content.toString('utf8', space + 1, equals), content.toString('utf8', equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** UTF-8 up to the first zero. */
export function text(bytes: Buffer, start = 0, end = bytes.length): string {
  const zero = bytes.indexOf(0, start);
  return bytes.toString('utf8', start, zero < 0 ? end : Math.min(zero, end));
}
