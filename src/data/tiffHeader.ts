import { checkBanded } from './bandedTiff.js';
import type { ImageHeader, ReadAt } from './imageHeader.js';
import { readTiffFields } from './tiffFields.js';

const acceptedSamples = 'accepted: 8 or 16 bits, unsigned';
/** Values of PhotometricInterpretation, Compression, ExtraSamples and SampleFormat. */
const colours = { white: 0, black: 1, rgb: 2, palette: 3, separated: 5, luma: 6, lab: 8 };
const jpegCompressions = [6, 7];
const photometricNames: Record<number, string> = {
  6: 'YCbCr without JPEG compression',
  32803: 'a raw sensor',
  34892: 'a raw sensor',
};
/** By the values of Compression, what sharp decodes: none, CCITT, LZW, JPEG, Deflate, PackBits and WebP. */
const decompressed = [1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 50001];
const compressionNames: Record<number, string> = {
  34712: 'JPEG 2000',
  34887: 'LERC',
  34925: 'LZMA',
  50000: 'Zstandard',
  50002: 'JPEG XL',
};
const unsigned = 1;
const unspecified = 4;
const formatNames: Record<number, string> = { 2: 'signed integers', 3: 'floating point' };
/** Samples of all channels together: what their memory is for. */
const maxSamples = 2 ** 30;

export interface TiffHeader extends Pick<ImageHeader, 'bits' | 'channels' | 'isBanded'> {
  readonly width: number;
  readonly height: number;
}

/**
 * Reads the first directory. `asBands`: whether its channels are taken as they are, whatever colours they are of. Null
 * when only a decoder can tell.
 * @throws RangeError that ends the sentence "the file ..." for what is not decoded.
 */
export function tiffHeader(read: ReadAt, asBands: boolean): TiffHeader | null {
  const fields = readTiffFields(read, [
    'width',
    'height',
    'bits',
    'compression',
    'photometric',
    'fillOrder',
    'orientation',
    'samples',
    'planar',
    'predictor',
    'tileWidth',
    'format',
  ]);
  const { all, first } = fields;
  const bits = first('bits', 1);
  const format = first('format', unsigned);
  const channels = first('samples', 1);
  const photometric = first('photometric', colours.black);
  const isGrey = photometric === colours.black || photometric === colours.white;
  // Two are grey and its transparency. Those of sensors are often grey by name.
  const isOfBands = channels > (photometric === colours.separated ? 5 : isGrey ? 2 : 4);
  // NOTE: libvips does not read tiles of a plane a channel.
  const isBanded = isOfBands || (channels > 1 && first('planar', 1) === 2 && all('tileWidth').length > 0);
  if (format === unspecified && !asBands && !isBanded) return null;
  const isMixed = (['bits', 'format'] as const).some((tag) => new Set(all(tag)).size > 1);
  const isUnsigned = format === unsigned || format === unspecified;
  if (isMixed || !isUnsigned || ![1, 2, 4, 8, 16].includes(bits)) {
    const what = isMixed ? 'different kinds' : `${bits} bits, ${formatNames[format] ?? 'unsigned'}`;
    throw new RangeError(`has samples of ${what}; ${acceptedSamples}`);
  }
  // NOTE: libvips converts YCbCr where libjpeg does it, and takes it for RGB elsewhere.
  const isUnconverted = photometric === colours.luma && !jpegCompressions.includes(first('compression', 1));
  if (isUnconverted || !Object.values(colours).includes(photometric)) {
    const name = photometricNames[photometric] ?? `kind ${photometric}`;
    throw new RangeError(`has colours of ${name}; accepted: grey, RGB, palette, CMYK or Lab`);
  }
  const compression = first('compression', 1);
  if (!asBands && !isBanded && !decompressed.includes(compression)) {
    const name = compressionNames[compression] ?? `method ${compression}`;
    throw new RangeError(
      `is compressed by ${name}; accepted: none, CCITT, LZW, JPEG, Deflate, PackBits or WebP`,
    );
  }
  const [width, height] = [first('width', 0), first('height', 0)];
  if (asBands || isBanded) {
    checkBanded(fields);
    if (width * height * channels > maxSamples) {
      throw new RangeError(
        `has ${width} x ${height} pixels of ${channels} channels; accepted: ${maxSamples} samples`,
      );
    }
  }
  return { bits, channels, isBanded, width, height };
}
