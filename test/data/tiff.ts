export interface TiffOptions {
  readonly bits: number;
  /** SampleFormat of TIFF 6.0: 1 unsigned, 2 signed, 3 floating point. */
  readonly format?: number;
  readonly samples?: number;
  /** PhotometricInterpretation; default grey, RGB where there are three samples or more. */
  readonly photometric?: number;
  /** Said of the pixels, whatever they are; default 1, none. */
  readonly compression?: number;
  /** 2: the lowest bit first; default: nothing is said. */
  readonly fillOrder?: number;
  /** Samples in order, 16 x 12 pixels. */
  readonly data: ArrayBufferView;
}

export const [tiffWidth, tiffHeight] = [16, 12];

const [shortType, longType] = [3, 4];

/** A little-endian TIFF of one uncompressed strip. */
export function tiff({
  bits,
  format = 1,
  samples = 1,
  photometric,
  compression = 1,
  fillOrder,
  data,
}: TiffOptions): Buffer {
  const colours = samples >= 3 ? 3 : 1;
  const fields: [tag: number, type: number, values: number[]][] = [
    [256, shortType, [tiffWidth]],
    [257, shortType, [tiffHeight]],
    [258, shortType, new Array<number>(samples).fill(bits)],
    [259, shortType, [compression]],
    [262, shortType, [photometric ?? (colours === 3 ? 2 : 1)]],
    [273, longType, [0]],
    [277, shortType, [samples]],
    [278, shortType, [tiffHeight]],
    [279, longType, [data.byteLength]],
    [339, shortType, new Array<number>(samples).fill(format)],
  ];
  if (samples > colours) fields.splice(9, 0, [338, shortType, new Array<number>(samples - colours).fill(0)]);
  if (fillOrder !== undefined) fields.splice(5, 0, [266, shortType, [fillOrder]]);
  const directory = Buffer.alloc(2 + 12 * fields.length + 4);
  const [extra, start] = [[] as Buffer[], 8 + directory.length];
  const at = () => start + extra.reduce((sum, part) => sum + part.length, 0);
  directory.writeUInt16LE(fields.length, 0);
  for (const [i, [tag, type, values]] of fields.entries()) {
    const offset = 2 + 12 * i;
    directory.writeUInt16LE(tag, offset);
    directory.writeUInt16LE(type, offset + 2);
    directory.writeUInt32LE(values.length, offset + 4);
    if (values.length > 2) {
      directory.writeUInt32LE(at(), offset + 8);
      extra.push(Buffer.from(Uint16Array.from(values).buffer));
    } else if (type === longType) directory.writeUInt32LE(values[0]!, offset + 8);
    else values.forEach((value, k) => directory.writeUInt16LE(value, offset + 8 + 2 * k));
  }
  directory.writeUInt32LE(at(), 2 + 12 * fields.findIndex(([tag]) => tag === 273) + 8);
  const pixels = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.concat([Buffer.from('II*\0\x08\0\0\0', 'latin1'), directory, ...extra, pixels]);
}
