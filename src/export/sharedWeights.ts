import { sha256 } from '../onnx/hash.js';
import { byteLength, bytesOf, type Initializer, type OnnxModel, type TypedArray } from '../onnx/model.js';

/** A file of weights outside of a model, which several models may share. */
export interface ExternalData {
  /** In the folder of the models; part of its name is of its content, so that it never changes under a model. */
  readonly file: string;
  readonly bytes: Uint8Array;
}

/** Smaller tensors stay in the models. */
const smallest = 256;
/** Where a tensor begins: a large one on a page of memory, which is how runtimes map it. */
const alignment = { small: 64, large: 4096, largeFrom: 65_536 } as const;

/**
 * Models whose weights lie in one file: those that are the same array in several models are there once. Deterministic.
 */
export function shareWeights(
  name: string,
  models: readonly OnnxModel[],
): { readonly models: readonly OnnxModel[]; readonly externalData: ExternalData } {
  const places = new Map<TypedArray, number>();
  let end = 0;
  for (const { values, length } of models.flatMap(movable)) {
    if (places.has(values)) continue;
    const align = length >= alignment.largeFrom ? alignment.large : alignment.small;
    const offset = Math.ceil(end / align) * align;
    places.set(values, offset);
    end = offset + length;
  }
  const bytes = new Uint8Array(end);
  for (const [values, offset] of places) bytes.set(bytesOf(values), offset);
  const file = `${name}.shared-${sha256(bytes).slice(0, 12)}.data`;
  const moved = (initializer: Initializer): Initializer => {
    const [found] = movableOf(initializer);
    if (!found) return initializer;
    const { values, length } = found;
    return {
      ...initializer,
      data: { kind: 'external', location: file, offset: places.get(values)!, length },
    };
  };
  return {
    models: models.map((model) => ({ ...model, initializers: model.initializers.map(moved) })),
    externalData: { file, bytes },
  };
}

/** By name: models of different inputs have the same file. */
function movable({ initializers }: OnnxModel) {
  return [...initializers].sort((a, b) => (a.name < b.name ? -1 : 1)).flatMap(movableOf);
}

/** The values of an initializer and their length in bytes; none where it stays in the model, as all integers do. */
function movableOf({ type, data }: Initializer): { values: TypedArray; length: number }[] {
  const length = byteLength(type);
  if (data.kind !== 'inline' || type.dtype !== 'float32' || length < smallest) return [];
  return [{ values: data.values, length }];
}
