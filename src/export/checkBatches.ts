import type { Config } from '../config/schema.js';
import { fullScale } from '../data/rawImage.js';
import { ImageTransform } from '../data/transform.js';
import type { ImageSource, RawImage } from '../data/source.js';
import { floats } from '../engines/hostGraph.js';
import type { TensorData } from '../onnx/safetensors.js';
import type { ExportForm } from './form.js';

/** Images to check a model on: what the model is fed, and what the encoder gets of them on the training side. */
export interface CheckBatch {
  /** As the form of the model takes them; as many as its batch, if that is fixed. */
  readonly fed: TensorData;
  /** `[n, C, S, S]`; where the model is fed more of them than n, the rest repeat the last. */
  readonly images: TensorData;
}

type Taken = Pick<ExportForm, 'input' | 'resize' | 'batch'>;

/** Images that a model that resizes is checked on, and the sides that they are cut down to. */
const resized = { images: 8, side: 1024 };

/** Images `[n, C, S, S]` as a model takes them. Bytes are the nearest ones, and the encoder gets what they stand for. */
export function checkBatches(
  images: TensorData,
  { input, batch }: Taken,
  data: Config['data'],
): CheckBatch[] {
  const [count, channels, size] = images.shape as [number, number, number];
  const of = (start: number): CheckBatch => {
    const own = rows(images, start, Math.min(count, start + (batch ?? count)));
    if (input === 'float32-nchw') return { fed: filledUp(own, batch), images: own };
    const bytes = toBytes(own, data);
    const normalized = new Float32Array(own.data.length);
    for (const [i, pixels] of eachImage(bytes)) {
      normalized.set(
        fromSamples({ width: size, height: size, channels, data: pixels }, data),
        i * pixels.length,
      );
    }
    return { fed: filledUp(bytes, batch), images: floats(normalized, own.shape) };
  };
  const batches: CheckBatch[] = [];
  for (let start = 0; start < count; start += batch ?? count) batches.push(of(start));
  return batches;
}

/** Decoded images for `resizeCheckBatches`, the first ones of a source. */
export async function readResizeImages(source: ImageSource): Promise<RawImage[]> {
  const images: RawImage[] = [];
  for (let i = 0; i < Math.min(source.length, resized.images); i++) {
    const image = await source.read(i);
    images.push(corner(image, Math.min(image.width, resized.side), Math.min(image.height, resized.side)));
  }
  return images;
}

/**
 * Decoded images as a model that resizes them takes them, each alone, and every second one again without some of its
 * right and lower edge, so that sides of many lengths are seen where all images have one size.
 */
export function resizeCheckBatches(
  images: readonly RawImage[],
  { input, batch }: Taken,
  { imageSize, mean, std }: Config['data'],
): CheckBatch[] {
  const transform = new ImageTransform(imageSize, mean, std);
  const smaller = images
    .filter((_, i) => i % 2 === 0)
    .map((image, i) =>
      corner(image, Math.max(1, image.width - 1 - (i % 3)), Math.max(1, image.height - 1 - (i % 2))),
    );
  return [...images, ...smaller].map((image) => {
    const { width, height, channels, data } = image;
    const own = new Float32Array(channels * imageSize * imageSize);
    transform.evaluation(image, own, 0);
    const one: TensorData =
      input === 'uint8-nhwc'
        ? { dtype: 'uint8', shape: [1, height, width, channels], data }
        : floats(fromSamples(image, { mean, std }), [1, channels, height, width]);
    return { fed: filledUp(one, batch), images: floats(own, [1, channels, imageSize, imageSize]) };
  });
}

function rows({ shape, data }: TensorData, start: number, end: number): TensorData {
  const size = data.length / shape[0]!;
  return floats((data as Float32Array).subarray(start * size, end * size), [end - start, ...shape.slice(1)]);
}

/** Up to a batch of so many by the last one. */
function filledUp(tensor: TensorData, batch: number | null): TensorData {
  const { dtype, shape } = tensor;
  const count = shape[0]!;
  if (batch === null || batch === count) return tensor;
  const data = tensor.data as Float32Array | Uint8Array;
  const size = data.length / count;
  const all = dtype === 'uint8' ? new Uint8Array(batch * size) : new Float32Array(batch * size);
  all.set(data);
  for (let i = count; i < batch; i++) all.set(data.subarray((count - 1) * size), i * size);
  return { dtype, shape: [batch, ...shape.slice(1)], data: all };
}

function eachImage({ shape, data }: TensorData): [number, Uint8Array][] {
  const size = data.length / shape[0]!;
  return Array.from({ length: shape[0]! }, (_, i) => [
    i,
    (data as Uint8Array).subarray(i * size, (i + 1) * size),
  ]);
}

/** Normalised `[n, C, S, S]` -> the nearest bytes `[n, S, S, C]`. */
function toBytes(
  { shape, data }: TensorData,
  { mean, std }: Pick<Config['data'], 'mean' | 'std'>,
): TensorData {
  const [count, channels, height, width] = shape as [number, number, number, number];
  const plane = height * width;
  // Assigning rounds to the nearest byte within 0 .. 255.
  const bytes = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i++) {
    const c = Math.floor(i / plane) % channels;
    const image = Math.floor(i / (channels * plane));
    bytes[channels * (image * plane + (i % plane)) + c] = 255 * ((data[i] as number) * std[c]! + mean[c]!);
  }
  return { dtype: 'uint8', shape: [count, height, width, channels], data: new Uint8Array(bytes.buffer) };
}

/** Samples `[H, W, C]` -> normalised `[C, H, W]`. */
function fromSamples(image: RawImage, { mean, std }: Pick<Config['data'], 'mean' | 'std'>): Float32Array {
  const { width, height, channels, data } = image;
  const full = fullScale(image);
  const plane = width * height;
  const out = new Float32Array(channels * plane);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < channels; c++) {
      out[c * plane + i] = (data[channels * i + c]! / full - mean[c]!) / std[c]!;
    }
  }
  return out;
}

/** A copy of the upper left corner. */
function corner({ width, channels, data }: RawImage, w: number, h: number): RawImage {
  const row = channels * w;
  const cut = data.BYTES_PER_ELEMENT === 1 ? new Uint8Array(row * h) : new Uint16Array(row * h);
  for (let y = 0; y < h; y++) {
    const start = channels * y * width;
    cut.set(data.subarray(start, start + row), row * y);
  }
  return { width: w, height: h, channels, data: cut };
}
