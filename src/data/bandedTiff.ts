import { inflateSync } from 'node:zlib';
import { decodeLzw, decodePackBits } from './tiffCompression.js';
import { readTiffFields, type TiffFields } from './tiffFields.js';
import type { RawImage } from './rawImage.js';
import { decompressZstd } from './zstd.js';

/** To at most `size` bytes, by the values of Compression. */
const decompressions: Readonly<Record<number, (block: Buffer, size: number) => Uint8Array>> = {
  1: (block) => block,
  5: decodeLzw,
  8: (block, size) => inflateSync(block, { maxOutputLength: size }),
  32773: decodePackBits,
  32946: (block, size) => inflateSync(block, { maxOutputLength: size }),
  ...(decompressZstd && { 50000: decompressZstd }),
};

const separatePlanes = 2;
const [noPredictor, horizontalPredictor] = [1, 2];
const upright = 1;

/**
 * What the header of a TIFF has that `decodeBands` does not read.
 * @throws RangeError that ends the sentence "the file ...".
 */
export function checkBanded({ first }: TiffFields): void {
  const bits = first('bits', 1);
  if (bits !== 8 && bits !== 16) throw new RangeError(`has bands of ${bits} bits; accepted: 8 or 16`);
  const compression = first('compression', 1);
  if (!(compression in decompressions)) {
    throw new RangeError(
      `has bands in compression ${compression}; accepted: none, LZW, Deflate, PackBits` +
        (decompressZstd ? ', Zstandard' : ', and with Node.js 22.15 Zstandard'),
    );
  }
  const predictor = first('predictor', noPredictor);
  if (predictor !== noPredictor && predictor !== horizontalPredictor) {
    throw new RangeError(`has bands by predictor ${predictor}; accepted: none or horizontal`);
  }
  const order = first('fillOrder', 1);
  if (order !== 1) throw new RangeError(`has bands in bit order ${order}; accepted: 1, the highest first`);
  const orientation = first('orientation', upright);
  if (orientation !== upright) {
    throw new RangeError(`has bands in orientation ${orientation}; accepted: ${upright}, upright`);
  }
}

/**
 * Decode the first image of a TIFF to its bands as they are, 8 or 16 bits, in its order: without colours, profiles and
 * transparency. Its header has passed `checkBanded`.
 * @throws Error also for a file that is cut off or damaged.
 */
export function decodeBands(file: Buffer): RawImage {
  const fields = readTiffFields(
    (offset, length) => file.subarray(offset, offset + length),
    [
      'width',
      'height',
      'bits',
      'compression',
      'samples',
      'planar',
      'predictor',
      'rowsPerStrip',
      'stripOffsets',
      'stripBytes',
      'tileWidth',
      'tileHeight',
      'tileOffsets',
      'tileBytes',
    ],
  );
  const { all, first } = fields;
  const [width, height, channels] = [first('width', 0), first('height', 0), first('samples', 1)];
  const tiled = all('tileWidth').length > 0;
  const columns = tiled ? first('tileWidth', width) : width;
  const rows = tiled ? first('tileHeight', height) : Math.min(height, first('rowsPerStrip', height));
  const planes = first('planar', 1) === separatePlanes ? channels : 1;
  const [across, down] = [Math.ceil(width / columns), Math.ceil(height / rows)];
  const offsets = all(tiled ? 'tileOffsets' : 'stripOffsets');
  const sizes = all(tiled ? 'tileBytes' : 'stripBytes');
  if (Math.min(offsets.length, sizes.length) < planes * across * down) {
    throw new RangeError('does not say where all of its pixels are');
  }
  const deep = first('bits', 1) === 16;
  const count = width * height * channels;
  const data = deep ? new Uint16Array(count) : new Uint8Array(count);
  const inBlock = channels / planes;
  for (let i = 0; i < planes * across * down; i++) {
    const size = sizes[i]!;
    // Of a sparse file: all zeros.
    if (size === 0) continue;
    const [x, y] = [(i % across) * columns, (Math.floor(i / across) % down) * rows];
    const stored = file.subarray(offsets[i], offsets[i]! + size);
    if (stored.length < size) throw new RangeError('ends within its pixels');
    const used = { width: Math.min(columns, width - x), height: Math.min(rows, height - y) };
    const block = unpacked(stored, fields, columns * inBlock, rows, tiled ? rows : used.height);
    if (first('predictor', noPredictor) === horizontalPredictor) sumAlong(block, columns * inBlock, inBlock);
    const plane = Math.floor(i / (across * down));
    for (let row = 0; row < used.height; row++) {
      let to = ((y + row) * width + x) * channels + plane;
      let from = row * columns * inBlock;
      if (planes === 1) data.set(block.subarray(from, from + used.width * channels), to);
      else for (let column = 0; column < used.width; column++, to += channels) data[to] = block[from++]!;
    }
  }
  return { width, height, channels, data };
}

/** The samples of a block of `rows` rows at most, of which there have to be so many. */
function unpacked(
  stored: Buffer,
  { littleEndian, first }: TiffFields,
  rowSamples: number,
  rows: number,
  needed: number,
): Uint8Array | Uint16Array {
  const bytes = first('bits', 1) / 8;
  const block = decompressions[first('compression', 1)]!(stored, rowSamples * rows * bytes);
  const samples = rowSamples * needed;
  if (block.length < samples * bytes) throw new RangeError('ends within its pixels');
  // A copy, which has the alignment of its samples and is changed in place.
  const own = Buffer.from(new Uint8Array(block.subarray(0, samples * bytes)).buffer);
  if (bytes === 1) return own;
  if (!littleEndian) own.swap16();
  return new Uint16Array(own.buffer, own.byteOffset, samples);
}

/** Undoes differences between neighbours of a row, within the bits of a sample. */
function sumAlong(block: Uint8Array | Uint16Array, rowSamples: number, step: number): void {
  for (let row = 0; row < block.length; row += rowSamples) {
    for (let i = row + step; i < row + rowSamples; i++) block[i]! += block[i - step]!;
  }
}
