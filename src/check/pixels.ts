import type { ImageSource } from '../data/source.js';
import { ImageTransform, type ChannelStatistics } from '../data/transform.js';
import { floatsOf, isFloating, type ElementType } from '../onnx/tensorType.js';
import type { TensorData } from '../onnx/safetensors.js';
import type { Port } from '../onnx/structure.js';
import { Random } from '../random.js';

/** How a model takes images. */
export interface PixelForm {
  readonly layout: 'nchw' | 'nhwc';
  readonly dtype: ElementType;
  /** Of values scaled to 0 .. 1, by channel; of an input of bytes both are without meaning. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** An input for images. */
export interface ImagePort extends Pick<PixelForm, 'layout' | 'dtype'> {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
}

/** Of an ImageNet model, which most are. */
export const imageNetStatistics = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/** How an input takes images; undefined for one that takes none: four dimensions, 1 or 3 channels, floats or bytes. */
export function imagePort({ dtype, shape }: Port, size: number): ImagePort | undefined {
  if (shape?.length !== 4 || !(dtype === 'uint8' || isFloating(dtype as ElementType))) return undefined;
  const areChannels = (d: unknown): d is 1 | 3 => d === 1 || d === 3;
  const side = (d: number | string) => (typeof d === 'number' ? d : size);
  const [, a, b, c] = shape as [unknown, number | string, number | string, number | string];
  const common = { dtype: dtype as ElementType };
  if (areChannels(a)) return { ...common, layout: 'nchw', channels: a, height: side(b), width: side(c) };
  if (areChannels(c)) return { ...common, layout: 'nhwc', channels: c, height: side(a), width: side(b) };
  // Of a model whose dimensions are all free.
  if (typeof a === 'string')
    return { ...common, layout: 'nchw', channels: 3, height: side(b), width: side(c) };
  return undefined;
}

/** Byte values of the images `start` to `start + count`, not rounded: `[count, height, width, channels]`. */
export async function imagePixels(
  source: ImageSource,
  { channels, height, width }: ImagePort,
  start: number,
  count: number,
): Promise<Float32Array> {
  const side = Math.max(height, width);
  const perByte: ChannelStatistics = [1 / 255, 1 / 255, 1 / 255];
  const transform = new ImageTransform(side, [0, 0, 0], perByte);
  const planes = new Float32Array(3 * side * side);
  const pixels = new Float32Array(count * height * width * channels);
  const [top, left] = [(side - height) >> 1, (side - width) >> 1];
  let at = 0;
  for (let i = 0; i < count; i++) {
    // Fewer images than a model takes at once come again.
    transform.evaluation(await source.read((start + i) % source.length), planes, 0);
    for (let y = top; y < top + height; y++) {
      for (let x = left; x < left + width; x++) {
        const [r, g, b] = [0, 1, 2].map((c) => planes[(c * side + y) * side + x]!) as [
          number,
          number,
          number,
        ];
        if (channels === 3) {
          pixels[at++] = r;
          pixels[at++] = g;
          pixels[at++] = b;
        } else {
          // ITU-R 601, as Pillow and sharp make grey.
          pixels[at++] = 0.299 * r + 0.587 * g + 0.114 * b;
        }
      }
    }
  }
  return pixels;
}

/** Waves of random direction, length and colour, where there are no images: `[count, height, width, channels]`. */
export function drawnPixels({ channels, height, width }: ImagePort, count: number): Float32Array {
  const pixels = new Float32Array(count * height * width * channels);
  for (let n = 0, at = 0; n < count; n++) {
    const random = new Random(n);
    const waves = Array.from({ length: channels }, () =>
      Array.from({ length: 4 }, () => [
        random.uniform(-12, 12),
        random.uniform(-12, 12),
        random.uniform(0, 7),
      ]),
    );
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (const ofChannel of waves) {
          const sum = ofChannel.reduce(
            (total, [u, v, phase]) => total + Math.sin((u! * x) / width + (v! * y) / height + phase!),
            0,
          );
          pixels[at++] = 127.5 + 31 * sum;
        }
      }
    }
  }
  return pixels;
}

/** Byte values `[n, height, width, channels]` as a model takes them. */
export function imageTensor(
  pixels: ArrayLike<number>,
  [n, height, width, channels]: readonly [number, number, number, number],
  { layout, dtype, mean, std }: PixelForm,
): TensorData {
  const plane = height * width;
  const values = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) {
    const c = i % channels;
    const image = Math.floor(i / (plane * channels));
    const at = layout === 'nhwc' ? i : (image * channels + c) * plane + (Math.floor(i / channels) % plane);
    values[at] = dtype === 'uint8' ? pixels[i]! : (pixels[i]! / 255 - mean[c]!) / std[c]!;
  }
  return {
    dtype,
    shape: layout === 'nhwc' ? [n, height, width, channels] : [n, channels, height, width],
    data: isFloating(dtype) ? floatsOf(dtype, values) : toBytes(values),
  };
}

/** Rounded to bytes. */
export function toBytes(values: ArrayLike<number>): Uint8Array {
  return Uint8Array.from(values, (value) => Math.min(255, Math.max(0, Math.round(value))));
}
