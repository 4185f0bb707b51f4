/** Bytes that Snappy compresses for themselves: no compressor that is in use looks back beyond them. */
export const fragmentBytes = 2 ** 16;

/**
 * Where each 64 KiB of the output begin in a stream of Snappy, and its end: `[fragments + 1]`. Null where they do not
 * stand for themselves, or the stream is none.
 */
export function snappyFragments(stream: Uint8Array, outputBytes: number): Uint32Array | null {
  const starts: number[] = [];
  let at = 0;
  // The length of the output.
  while (stream[at]! >= 0x80) at++;
  at++;
  let output = 0;
  while (at < stream.length) {
    if (output === starts.length * fragmentBytes) starts.push(at);
    const begun = output - (starts.length - 1) * fragmentBytes;
    const tag = stream[at++]!;
    let length: number;
    if ((tag & 3) === 0) {
      length = (tag >> 2) + 1;
      if (length > 60) {
        const count = length - 60;
        length = littleEndian(stream, at, count) + 1;
        at += count;
      }
      at += length;
    } else {
      const count = [0, 1, 2, 4][tag & 3]!;
      length = count === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
      const offset = littleEndian(stream, at, count) + (count === 1 ? (tag >> 5) << 8 : 0);
      if (offset > begun) return null;
      at += count;
    }
    output += length;
    if (begun + length > fragmentBytes) return null;
  }
  if (at !== stream.length || output !== outputBytes) return null;
  return Uint32Array.from([...starts, at]);
}

function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = count - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}
