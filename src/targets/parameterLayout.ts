import { elementCount } from '../onnx/model.js';

/**
 * Order in memory of a parameter `[K, C, kh, kw]`, in oneDNN's notation (the shape stays the same). `plain`:
 * row-major. `OIHW16i16o`: blocks of 16 input and 16 output channels, `[K/16, C/16, kh kw, 16 in, 16 out]`, which
 * ONNX Runtime's blocked convolution reads. `OIHW16o`: `[K/16, C, kh kw, 16 out]`, its layout for plain images.
 * The same with 8 on processors without AVX-512.
 */
export const parameterLayouts = ['plain', 'OIHW16i16o', 'OIHW16o', 'OIHW8i8o', 'OIHW8o'] as const;
/**
 * How a parameter lies in memory.
 * @useDeclaredType
 */
export type ParameterLayout = (typeof parameterLayouts)[number];

/** A layout whatever its block, B: `OIHWBiBo` is `OIHW16i16o` or `OIHW8i8o`. */
export type ParameterForm = keyof typeof layouts;

const layouts = {
  OIHWBiBo: { 8: 'OIHW8i8o', 16: 'OIHW16i16o' },
  OIHWBo: { 8: 'OIHW8o', 16: 'OIHW16o' },
} as const;

/** The layout of a form with blocks of B channels. */
export function layoutOf(form: ParameterForm, block: 8 | 16): ParameterLayout {
  return layouts[form][block];
}

/** The form of a layout; `plain` has none and stays as it is. */
export function formOf(layout: ParameterLayout): ParameterForm | 'plain' {
  if (layout === 'plain') return layout;
  return blocksOf(layout).inputs === 1 ? 'OIHWBo' : 'OIHWBiBo';
}

/** Channels of a block of inputs and of outputs; 1 where they are not blocked. */
export function blocksOf(layout: ParameterLayout): { readonly inputs: number; readonly outputs: number } {
  switch (layout) {
    case 'plain':
      return { inputs: 1, outputs: 1 };
    case 'OIHW16i16o':
      return { inputs: 16, outputs: 16 };
    case 'OIHW16o':
      return { inputs: 1, outputs: 16 };
    case 'OIHW8i8o':
      return { inputs: 8, outputs: 8 };
    case 'OIHW8o':
      return { inputs: 1, outputs: 8 };
  }
}

/** Channels rounded up to whole blocks: 12 to blocks of 16 are 16. */
export function roundedUp(channels: number, block: number): number {
  return Math.ceil(channels / block) * block;
}

/** The shape `[K, C, kh, kw]` with the channels that a layout fills up whole blocks with; its own shape for `plain`. */
export function wholeBlocks(shape: readonly number[], layout: ParameterLayout): readonly number[] {
  if (layout === 'plain') return shape;
  const block = blocksOf(layout);
  const [outputs = 0, inputs = 0, ...window] = shape;
  return [roundedUp(outputs, block.outputs), roundedUp(inputs, block.inputs), ...window];
}

/**
 * Shape under which graphs and arenas hold a parameter `[K, C, kh, kw]`, or a block of it, in a layout:
 * `[K/B, C kh kw, B]`, both channel axes rounded up to whole blocks; its own shape for `plain`.
 */
export function storedShape(shape: readonly number[], layout: ParameterLayout): readonly number[] {
  if (layout === 'plain') return shape;
  const [outputs = 0, ...columns] = wholeBlocks(shape, layout);
  const block = blocksOf(layout).outputs;
  return [outputs / block, elementCount(columns), block];
}

/** Elements of a row-major parameter in the order of a layout; the same array for `plain`. */
export function pack(values: Float32Array, shape: readonly number[], layout: ParameterLayout): Float32Array {
  if (layout === 'plain') return values;
  const packed = new Float32Array(values.length);
  eachElement(shape, layout, (plain, place) => (packed[place] = values[plain]!));
  return packed;
}

/** The inverse of `pack`. */
export function unpack(
  packed: Float32Array,
  shape: readonly number[],
  layout: ParameterLayout,
): Float32Array {
  if (layout === 'plain') return packed;
  const values = new Float32Array(packed.length);
  eachElement(shape, layout, (plain, place) => (values[plain] = packed[place]!));
  return values;
}

/** For each element: where it lies in row-major order, and where the layout has it. */
function eachElement(
  shape: readonly number[],
  layout: ParameterLayout,
  visit: (plain: number, place: number) => void,
): void {
  const block = blocksOf(layout);
  const [outputs = 0, inputs = 0, ...window] = shape;
  const taps = elementCount(window);
  const size = block.inputs * block.outputs;
  let plain = 0;
  for (let k = 0; k < outputs; k++) {
    for (let c = 0; c < inputs; c++) {
      const row = Math.floor(k / block.outputs) * (inputs / block.inputs) + Math.floor(c / block.inputs);
      const column = (c % block.inputs) * block.outputs + (k % block.outputs);
      for (let tap = 0; tap < taps; tap++) visit(plain++, (row * taps + tap) * size + column);
    }
  }
}
