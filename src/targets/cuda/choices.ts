import type { ConvAttributes } from '../../ops/conv.js';

/** How the output of a convolution is computed. `product`: a 1x1 window's as one product a sample. */
export const forwardForms = ['convolution', 'product'] as const;
/**
 * How the gradient of a convolution's input is computed. `transposed`: ConvTranspose, cuDNN's backward-data kernels.
 * `convolution`: of dY with W turned. `product`: a 1x1 window's as one product a sample.
 */
export const inputGradientForms = ['transposed', 'convolution', 'product'] as const;
/**
 * How the gradient of a convolution's weights is computed. `rows`: in NHWC, for each tap one product over all positions
 * of all samples. `columns`: in NHWC, one product with the taps side by side. `samples`: in NCHW as it is, for each
 * tap a product a sample, added up. `convolution`: one in which dY is the kernel, as `portable` has it.
 */
export const weightGradientForms = ['rows', 'columns', 'samples', 'convolution'] as const;

export type ForwardForm = (typeof forwardForms)[number];
export type InputGradientForm = (typeof inputGradientForms)[number];
export type WeightGradientForm = (typeof weightGradientForms)[number];

/** A convolution as the target asks about it. */
export interface CudaConv extends Required<ConvAttributes> {
  readonly dtype: string;
  readonly batch: number;
  readonly inputs: number;
  readonly outputs: number;
  /** [kh, kw]. */
  readonly window: readonly [number, number];
  /** [H, W] of the input. */
  readonly inputSize: readonly [number, number];
  /** [OH, OW]. */
  readonly outputSize: readonly [number, number];
}

/** Where several lowerings compete: which one is taken, of those in `openForms`. All are correct; they differ in speed. */
export interface CudaChoices {
  forward(conv: CudaConv): ForwardForm;
  inputGradient(conv: CudaConv): InputGradientForm;
  weightGradient(conv: CudaConv): WeightGradientForm;
}

/** What the target chooses for a convolution. */
export type CudaPart = keyof CudaChoices;
export const cudaParts = ['forward', 'inputGradient', 'weightGradient'] as const satisfies CudaPart[];

type Forms = { readonly [P in CudaPart]: readonly ReturnType<CudaChoices[P]>[] };

/** The forms that a convolution can take; one alone is no question. */
export function openForms(conv: CudaConv): Forms {
  const { group, strides, pads, dilations, window } = conv;
  const dense = group === 1;
  const unstrided = strides.every((stride) => stride === 1);
  const pointwise = dense && unstrided && isPointwise(conv) && pads.every((pad) => pad === 0);
  // What ConvInputGrad of src/ops turns into a convolution.
  const turned = [0, 1, 2, 3].every((i) => dilations[i % 2]! * (window[i % 2]! - 1) >= pads[i]!);
  return {
    forward: pointwise ? ['convolution', 'product'] : ['convolution'],
    inputGradient: [
      'transposed',
      ...(dense && unstrided && turned ? (['convolution'] as const) : []),
      ...(pointwise ? (['product'] as const) : []),
    ],
    weightGradient: dense
      ? ['rows', ...(isPointwise(conv) ? [] : (['columns'] as const)), 'samples', 'convolution']
      : ['samples', 'convolution'],
  };
}

function isPointwise({ window }: CudaConv): boolean {
  return window[0] * window[1] === 1;
}

/** Rows of a matrix that tensor cores read without copying are multiples of so many elements. */
const aligned = 8;

/**
 * What is taken where nothing was measured, from what the forms read and write: maps are so large against the weights
 * that memory, not arithmetic, takes the time. NOTE: not measured on a GPU yet.
 */
export const cudaBuiltIn: CudaChoices = {
  forward: () => 'convolution',
  inputGradient: (conv) =>
    openForms(conv).inputGradient.includes('product') && positions(conv) % aligned === 0
      ? 'product'
      : 'transposed',
  weightGradient(conv) {
    const forms = openForms(conv).weightGradient;
    let best = forms[0]!;
    for (const form of forms) if (moved(form, conv) < moved(best, conv)) best = form;
    return best;
  },
};

/** Elements that a form of the weight gradient reads and writes, kernel by kernel. */
function moved(form: WeightGradientForm, conv: CudaConv): number {
  // Public reports have it ten to a thousand times slower.
  if (form === 'convolution') return Infinity;
  const { batch, inputs, outputs, group, window, strides, pads, inputSize } = conv;
  const taps = window[0] * window[1];
  const tapped = batch * inputs * positions(conv);
  const gradient = batch * outputs * positions(conv);
  const image = batch * inputs * inputSize[0] * inputSize[1];
  const padded = pads.some((pad) => pad > 0) ? 2 * image : 0;
  const sliced = taps > 1 || strides.some((stride) => stride > 1) ? 2 * taps * tapped : 0;
  const once = padded + sliced + taps * tapped;
  const transposes = 2 * (image + gradient);
  switch (form) {
    case 'rows':
      return transposes + once + taps * gradient;
    case 'columns':
      return transposes + once + 2 * taps * tapped + gradient;
    case 'samples':
      return once + taps * gradient + (2 * taps * batch * inputs * outputs) / group;
  }
}

function positions({ outputSize }: CudaConv): number {
  return outputSize[0] * outputSize[1];
}

/** Answers by question, as JSON holds them; the keys are those of `cudaKey`. */
export type CudaChoiceTable = {
  readonly [P in CudaPart]: Readonly<Record<string, ReturnType<CudaChoices[P]>>>;
};

export const noCudaChoices: CudaChoiceTable = { forward: {}, inputGradient: {}, weightGradient: {} };

/** The choices of a table; what it does not hold is answered by `otherwise`. */
export function cudaTableChoices(table: CudaChoiceTable, otherwise: CudaChoices = cudaBuiltIn): CudaChoices {
  return {
    forward: (conv) => table.forward[cudaKey(conv)] ?? otherwise.forward(conv),
    inputGradient: (conv) => table.inputGradient[cudaKey(conv)] ?? otherwise.inputGradient(conv),
    weightGradient: (conv) => table.weightGradient[cudaKey(conv)] ?? otherwise.weightGradient(conv),
  };
}

/** A question that a lowering asked, and the answer. */
export interface CudaQuestion {
  readonly conv: CudaConv;
  readonly part: CudaPart;
  readonly form: string;
}

/** Choices that note what they are asked and what they answer, in the order of the questions. */
export class RecordedCudaChoices implements CudaChoices {
  readonly questions: CudaQuestion[] = [];

  constructor(private readonly choices: CudaChoices) {}

  forward(conv: CudaConv): ForwardForm {
    return this.#noted('forward', conv, this.choices.forward(conv));
  }

  inputGradient(conv: CudaConv): InputGradientForm {
    return this.#noted('inputGradient', conv, this.choices.inputGradient(conv));
  }

  weightGradient(conv: CudaConv): WeightGradientForm {
    return this.#noted('weightGradient', conv, this.choices.weightGradient(conv));
  }

  /** The answers, sorted by key. */
  table(): CudaChoiceTable {
    const of = (part: CudaPart) =>
      Object.fromEntries(
        this.questions
          .filter((question) => question.part === part)
          .map(({ conv, form }) => [cudaKey(conv), form] as const)
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      );
    return Object.fromEntries(cudaParts.map((part) => [part, of(part)])) as CudaChoiceTable;
  }

  #noted<F extends string>(part: CudaPart, conv: CudaConv, form: F): F {
    this.questions.push({ conv, part, form });
    return form;
  }
}

/**
 * e.g. `float32 16x64x56x56 > 64 3x3 pads 1,1,1,1`: element type, shape of the input, channels of the output, window,
 * and what is not 1 or 0 of strides, pads, dilations and groups.
 */
export function cudaKey(conv: CudaConv): string {
  const { dtype, batch, inputs, outputs, window, inputSize, strides, pads, dilations, group } = conv;
  const shape = [batch, inputs, ...inputSize].join('x');
  const words = [dtype, shape, '>', outputs, window.join('x')];
  if (strides.some((stride) => stride !== 1)) words.push('strides', strides.join(','));
  if (pads.some((pad) => pad !== 0)) words.push('pads', pads.join(','));
  if (dilations.some((dilation) => dilation !== 1)) words.push('dilations', dilations.join(','));
  if (group !== 1) words.push('groups', group);
  return words.join(' ');
}
