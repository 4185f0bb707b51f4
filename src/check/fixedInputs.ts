import { join } from 'node:path';
import type { ImageSource } from '../data/source.js';
import { UsageError } from '../errors.js';
import { readNpy } from '../onnx/npy.js';
import {
  elementCount,
  elementFormats,
  elementTypes,
  floatsOf,
  formatShape,
  isFloating,
  type ElementType,
} from '../onnx/tensorType.js';
import type { TensorData } from '../onnx/safetensors.js';
import type { ModelStructure, Port } from '../onnx/structure.js';
import { isAbsent } from '../plainFile.js';
import { Random } from '../random.js';
import {
  drawnPixels,
  imageNetStatistics,
  imagePixels,
  imagePort,
  imageTensor,
  toBytes,
  type PixelForm,
} from './pixels.js';

/** What one input is fed with in every check. */
export interface FixedInput {
  readonly name: string;
  /** The tensor itself, or with `pixels` bytes `[n, height, width, channels]` that become it. */
  readonly stored: TensorData;
  readonly pixels: PixelForm | null;
  /** Whether the first dimension counts images, so that a model of a fixed batch takes them piece by piece. */
  readonly batched: boolean;
}

export interface InputOptions {
  /** Folder with `<input>.npy` for inputs. */
  readonly inputs?: string;
  /** How many images; default 8, or as many more as a fixed batch takes. */
  readonly count?: number;
  /** Side of the images where the model does not say; default: its metadata, else 224. */
  readonly size?: number;
  /** Of values scaled to 0 .. 1, by channel, where the metadata do not say; default: ImageNet's. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
}

/** Length of a dimension that may have any, other than of images. */
const freeLength = 8;

/**
 * Inputs for a model: files of the folder `inputs`, images where it takes them, and made up where there are neither, the
 * same for the same model. Throws a UsageError for a file that does not fit, and for inputs that are no tensors.
 */
export async function fixedInputs(
  { inputs, metadata }: Pick<ModelStructure, 'inputs' | 'metadata'>,
  images: ImageSource | null,
  options: InputOptions = {},
): Promise<FixedInput[]> {
  const results: FixedInput[] = [];
  const { count = 8 } = options;
  for (const port of inputs) {
    const given = options.inputs === undefined ? null : await givenInput(options.inputs, port);
    results.push(given ?? (await imageInput(port, metadata, images, options)) ?? madeUpInput(port, count));
  }
  return results;
}

/** The preprocessing that a model's metadata, or the options, tell of an input for images; undefined for another. */
export function pixelForm(
  port: Port,
  metadata: ModelStructure['metadata'],
  { size, mean, std }: InputOptions,
): (PixelForm & NonNullable<ReturnType<typeof imagePort>>) | undefined {
  const form = imagePort(port, size ?? (Number(metadata['imageSize']) || 224));
  if (!form) return undefined;
  return {
    ...form,
    mean: mean ?? numbers(metadata['mean']) ?? imageNetStatistics.mean,
    std: std ?? numbers(metadata['std']) ?? imageNetStatistics.std,
  };
}

/** The tensor that the model gets, whole. */
export function feedOf({ stored, pixels }: FixedInput): TensorData {
  if (!pixels) return stored;
  return imageTensor(stored.data as Uint8Array, stored.shape as [number, number, number, number], pixels);
}

/** Images or samples that a model takes at once: a fixed first dimension; null where any number goes. */
export function batchOf({ shape }: Pick<Port, 'shape'>): number | null {
  const first = shape?.[0];
  return typeof first === 'number' && first > 0 ? first : null;
}

async function givenInput(folder: string, port: Port): Promise<FixedInput | null> {
  const path = join(folder, `${port.name.replaceAll(/[/\\:]/g, '_')}.npy`);
  let stored: TensorData;
  try {
    stored = await readNpy(path);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
  const problem = misfit(port, stored);
  if (problem !== null) throw new UsageError(`${path}: ${problem}`);
  return { name: port.name, stored, pixels: null, batched: false };
}

async function imageInput(
  port: Port,
  metadata: ModelStructure['metadata'],
  images: ImageSource | null,
  options: InputOptions,
): Promise<FixedInput | null> {
  const form = pixelForm(port, metadata, options);
  if (!form) return null;
  const { layout, dtype, mean, std, height, width, channels } = form;
  const batch = batchOf(port) ?? 1;
  const asked = options.count ?? 8;
  const available = images ? Math.min(asked, images.length) : asked;
  const count = Math.ceil(available / batch) * batch;
  const pixels = images ? await imagePixels(images, form, 0, count) : drawnPixels(form, count);
  return {
    name: port.name,
    stored: { dtype: 'uint8', shape: [count, height, width, channels], data: toBytes(pixels) },
    pixels: { layout, dtype, mean, std },
    batched: true,
  };
}

/** Normally distributed numbers, ones, true. */
function madeUpInput({ name, dtype, shape }: Port, count: number): FixedInput {
  if (!shape || !elementTypes.includes(dtype as ElementType)) {
    throw new UsageError(
      `input ${name} is ${dtype}${shape ? formatShape(shape) : ' of unknown shape'}; accepted: tensors of ` +
        `${elementTypes.join(', ')}, or one of them as ${name}.npy in the folder of --inputs`,
    );
  }
  const lengths = shape.map((d, i) => (typeof d === 'number' ? d : i === 0 ? count : freeLength));
  const elements = elementCount(lengths);
  const known = dtype as ElementType;
  const random = new Random(0);
  const data = isFloating(known)
    ? floatsOf(
        known,
        Float64Array.from({ length: elements }, () => random.normal()),
      )
    : new elementFormats[known].array(new ArrayBuffer(elements * elementFormats[known].bytes));
  if (data instanceof BigInt64Array) data.fill(1n);
  else if (!isFloating(known)) data.fill(1);
  return {
    name,
    stored: { dtype: known, shape: lengths, data },
    pixels: null,
    batched: typeof shape[0] === 'string',
  };
}

/** Why a tensor is none for an input; null where it is. */
export function misfit(
  { name, dtype, shape }: Port,
  tensor: Pick<TensorData, 'dtype' | 'shape'>,
): string | null {
  const fits =
    tensor.dtype === dtype &&
    (shape === null ||
      (shape.length === tensor.shape.length &&
        shape.every((d, i) => typeof d === 'string' || d === tensor.shape[i])));
  if (fits) return null;
  const expected = `${dtype}${shape ? formatShape(shape) : ''}`;
  return `${tensor.dtype}${formatShape(tensor.shape)}; the input ${name} takes ${expected}`;
}

function numbers(json: string | undefined): number[] | undefined {
  if (json === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) && value.every(Number.isFinite) ? (value as number[]) : undefined;
  } catch {
    return undefined;
  }
}
