import { axisFilter } from '../data/axisFilter.js';
import { centerCrop } from '../data/centerCrop.js';
import { asColour, fullScale, isColour, type RawImage } from '../data/rawImage.js';
import { Renderers } from '../data/renderer.js';
import { SlimclrError } from '../errors.js';
import { toFloat16 } from '../onnx/float16.js';
import type { FamilyModel } from './manifest.js';

/**
 * A decoded image: [H, W, 3] of RGB or [H, W, 4] of RGBA bytes, not premultiplied, as `ImageData` has them; for models of
 * grey also [H, W], for those of C bands [H, W, C] alone. 16 bits in place of bytes are as good.
 */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray | Uint16Array;
}

/** What a model is fed with. float16 are its bits. */
export type InputTensor =
  | { readonly dtype: 'float32'; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: 'float16'; readonly shape: readonly number[]; readonly data: Uint16Array }
  | { readonly dtype: 'uint8'; readonly shape: readonly number[]; readonly data: Uint8Array };

/** What is read of a model's entry in the manifest. */
export type InputDescription = Pick<FamilyModel, 'file' | 'inputs' | 'preprocessing'>;

const inputTypes = ['float32', 'float16', 'uint8'];
const orders = ['rgb', 'grey', 'bands'];

interface Normalization {
  readonly mean: readonly number[];
  readonly scale: readonly number[];
}

/**
 * Makes of images what a model takes, as the manifest says: resized, cut and normalised to the bit as evaluation does,
 * less what the model does by itself. Holds scratch memory.
 */
export class ModelInput {
  readonly name: string;
  /** Images of every run; null: any number. */
  readonly batch: number | null;
  /** S, side of what is cut out; null where the model takes whole images, of any size but one size a run. */
  readonly size: number | null;
  readonly #dtype: InputTensor['dtype'];
  readonly #planar: boolean;
  readonly #channels: number;
  /** By the sample that is white: result = (sample - mean) * scale. */
  readonly #normalizations: Readonly<Record<number, Normalization>>;
  readonly #shortSide: number;
  readonly #renderers: Renderers | null;

  constructor({ file, inputs, preprocessing }: InputDescription) {
    const [input] = inputs;
    const { inGraph, layout, order, crop, shortSide, scale, mean, std } = preprocessing;
    if (!input || inputs.length !== 1 || !inputTypes.includes(input.dtype)) {
      const found = inputs.map(({ name, dtype }) => `${name} of ${dtype}`).join(', ') || 'none';
      throw new SlimclrError(`${file} has the inputs ${found}; accepted: one of ${inputTypes.join(', ')}`);
    }
    if (!orders.includes(order) || (layout !== 'nchw' && layout !== 'nhwc')) {
      throw new SlimclrError(
        `${file} takes images in the order ${order}, ${layout}; accepted: ${orders.join(', ')}, nchw or nhwc`,
      );
    }
    const [batch] = input.shape;
    this.name = input.name;
    this.batch = typeof batch === 'number' ? batch : null;
    this.size = inGraph.includes('resize') ? null : crop.size;
    this.#dtype = input.dtype as InputTensor['dtype'];
    this.#planar = layout === 'nchw';
    this.#channels = mean.length;
    const raw = inGraph.includes('normalize');
    // A model that normalises takes bytes.
    const of = (perSample: number, perByte: number): Normalization => ({
      mean: mean.map((value) => (raw ? 0 : value / perSample)),
      scale: std.map((deviation) => (raw ? perSample / perByte : perSample / deviation)),
    });
    const [byte, sample] = scale < 1 / 255 ? [257 * scale, scale] : [scale, scale / 257];
    this.#normalizations = { 255: of(byte, byte), 65535: of(sample, byte) };
    this.#shortSide = shortSide;
    this.#renderers = this.size === null ? null : new Renderers(this.size);
  }

  /** The tensor of images, `[n, C, S, S]` or `[n, S, S, C]`; a smaller number than `batch` is filled up with black. */
  of(images: readonly Pixels[]): InputTensor {
    const { batch, size } = this;
    const channels = this.#channels;
    const count = batch ?? images.length;
    const { width, height } = size === null ? sharedSize(images) : { width: size, height: size };
    const length = channels * width * height;
    const values = new Float32Array(count * length);
    for (const [i, image] of images.entries()) this.#write(image, values, i * length);
    const shape = this.#planar ? [count, channels, height, width] : [count, height, width, channels];
    const data = this.#planar ? values : interleaved(values, count, channels);
    switch (this.#dtype) {
      case 'float32':
        return { dtype: 'float32', shape, data };
      case 'float16':
        return { dtype: 'float16', shape, data: toFloat16(data) };
      case 'uint8':
        // A clamped array rounds.
        return { dtype: 'uint8', shape, data: new Uint8Array(Uint8ClampedArray.from(data).buffer) };
    }
  }

  /** Writes an image, [C, H, W], into `out` at `offset`. */
  #write(pixels: Pixels, out: Float32Array, offset: number): void {
    const image = decoded(pixels, this.#channels);
    const { width, height, channels, data } = image;
    const { mean, scale } = this.#normalizations[fullScale(image)]!;
    if (!this.#renderers || this.size === null) {
      const plane = width * height;
      for (let c = 0; c < channels; c++) {
        const [m, s] = [mean[c]!, scale[c]!];
        for (let i = 0; i < plane; i++) out[offset + c * plane + i] = (data[channels * i + c]! - m) * s;
      }
      return;
    }
    const { resized, left, top } = centerCrop(width, height, this.size, this.#shortSide);
    const columns = axisFilter(0, width, resized.width, { from: left, count: this.size });
    const rows = axisFilter(0, height, resized.height, { from: top, count: this.size });
    const renderer = this.#renderers.of(image);
    renderer.resample(image, { x: 0, y: 0, width, height }, columns, rows);
    renderer.normalizeInto(out, offset, mean, scale);
  }
}

/** As a model of so many channels sees it: colours are opaque, bands as they are. */
function decoded({ width, height, data }: Pixels, channels: number): RawImage {
  const count = width * height;
  const own = data.length / count;
  const accepted = !isColour({ channels }) ? [channels] : channels === 1 ? [1, 3, 4] : [3, 4];
  if (count === 0 || !accepted.includes(own)) {
    const unit = data.BYTES_PER_ELEMENT === 1 ? 'bytes' : 'samples';
    throw new SlimclrError(
      `an image of ${width} x ${height} pixels has ${data.length} ${unit}; accepted: ${accepted.join(' or ')} a pixel`,
    );
  }
  const samples =
    data instanceof Uint8ClampedArray ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data;
  const image = { width, height, channels: own, data: samples };
  if (!isColour({ channels })) return image;
  return asColour(own === 4 ? opaque(image) : image, channels);
}

/** RGBA -> RGB; what is transparent lies over white. */
function opaque(image: RawImage): RawImage {
  const { width, height, data } = image;
  const full = fullScale(image);
  const rgb = full === 255 ? new Uint8Array(3 * width * height) : new Uint16Array(3 * width * height);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const alpha = data[from + 3]!;
    for (let c = 0; c < 3; c++) {
      const value = data[from + c]!;
      rgb[to + c] = alpha === full ? value : Math.round((value * alpha) / full + full - alpha);
    }
  }
  return { ...image, channels: 3, data: rgb };
}

function sharedSize(images: readonly Pixels[]): { width: number; height: number } {
  const [first] = images;
  const other = images.find(({ width, height }) => width !== first!.width || height !== first!.height);
  if (first && !other) return first;
  throw new SlimclrError(
    `images of ${first?.width} x ${first?.height} and of ${other?.width} x ${other?.height} pixels cannot be in one ` +
      'run of a model that resizes by itself; accepted: images of one size',
  );
}

/** [n, C, H * W] -> [n, H * W, C] */
function interleaved(values: Float32Array, count: number, channels: number): Float32Array {
  const out = new Float32Array(values.length);
  const length = values.length / count;
  const plane = length / channels;
  for (let n = 0; n < count; n++) {
    const base = n * length;
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < plane; i++) out[base + channels * i + c] = values[base + c * plane + i]!;
    }
  }
  return out;
}
