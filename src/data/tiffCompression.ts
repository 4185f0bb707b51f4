/** Codes of TIFF 6.0, section 13: after 256 bytes. */
const [clearCode, endCode, firstCode] = [256, 257, 258];
const longestCode = 12;

/**
 * LZW of TIFF 6.0, section 13, to at most `size` bytes. A string of the table is where it stands in the output: each is
 * the one before it and the byte after that.
 */
export function decodeLzw(block: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  const starts = new Uint32Array(2 ** longestCode);
  const lengths = new Uint32Array(2 ** longestCode);
  let length = 0;
  let [next, width] = [firstCode, 9];
  // Of the string before, none after a clear code.
  let [start, before] = [0, 0];
  for (let at = 0, bits = 0, held = 0; length < size;) {
    while (held < width && at < block.length) {
      bits = ((bits << 8) | block[at++]!) & 0xff_ffff;
      held += 8;
    }
    if (held < width) break;
    held -= width;
    const code = (bits >>> held) & (2 ** width - 1);
    if (code === endCode) break;
    if (code === clearCode) {
      [next, width, before] = [firstCode, 9, 0];
      continue;
    }
    if (before > 0 && next < 2 ** longestCode) {
      starts[next] = start;
      lengths[next] = before + 1;
      next++;
    }
    if (code > endCode && code >= next) throw new RangeError('has damaged LZW codes');
    const to = length;
    if (code < clearCode) out[length++] = code;
    else {
      const end = Math.min(size, length + lengths[code]!);
      // Byte by byte: the string may reach into what is written here.
      for (let from = starts[code]!; length < end;) out[length++] = out[from++]!;
    }
    [start, before] = [to, length - to];
    // One code early, as TIFF has it.
    if (next + 1 >= 2 ** width && width < longestCode) width++;
  }
  return out.subarray(0, length);
}

/** PackBits of TIFF 6.0, section 9, to at most `size` bytes. */
export function decodePackBits(block: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  let length = 0;
  for (let at = 0; at < block.length && length < size;) {
    const head = block[at++]!;
    if (head === 128) continue;
    const count = Math.min(head < 128 ? head + 1 : 257 - head, size - length);
    if (head > 128) out.fill(block[at++]!, length, length + count);
    else {
      out.set(block.subarray(at, at + count), length);
      // What is cut off ends here.
      if (at + count > block.length) return out.subarray(0, length + block.length - at);
      at += count;
    }
    length += count;
  }
  return out.subarray(0, length);
}
