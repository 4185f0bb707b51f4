import type { ProbeProtocol } from '../evaluation/results.js';
import { opsets } from '../onnx/opsets.js';
import { widthLabel } from '../nn/widthLabel.js';

/** What the weights and the inner values of an exported model may be. */
export const precisions = ['float32', 'float16', 'int8'] as const;
export type Precision = (typeof precisions)[number];

/** What an exported model may take as `images`. */
export const inputForms = ['float32-nchw', 'uint8-nhwc'] as const;
export type InputForm = (typeof inputForms)[number];

/** What sets an exported model apart from the others of its run and width: its file is named after that. */
export interface ExportForm {
  /** Of weights and inner values; outputs are float32 in any case. */
  readonly precision: Precision;
  /** `float32-nchw`: normalised, `[batch, 3, S, S]`. `uint8-nhwc`: RGB bytes, `[batch, S, S, 3]`. */
  readonly input: InputForm;
  /** Whether images of any height and width go in, which the model resizes and crops. */
  readonly resize: boolean;
  /** Number of images that it takes; null: any. */
  readonly batch: number | null;
  /** Stages of the encoder whose feature maps are outputs, such as `layer2`, in the encoder's order. */
  readonly outputs: readonly string[];
  /** S, side of the images in pixels; null: data.imageSize of the run. */
  readonly size: number | null;
  /** Whether it has the output `embedding`, which the head makes of the features. */
  readonly head: boolean;
  /** Protocol of the linear probe whose scores it has as `logits`; null: none. */
  readonly classifier: ProbeProtocol | null;
  /** Whether its weights lie in a file that the models of all widths share. */
  readonly shared: boolean;
}

/** The form of an export without options. */
export const plainForm: ExportForm = {
  precision: 'float32',
  input: 'float32-nchw',
  resize: false,
  batch: null,
  outputs: [],
  size: null,
  head: false,
  classifier: null,
  shared: false,
};

/** The oldest opset that has all operators of a form: antialiased Resize since 18, scales by channel since 13. */
export function oldestOpset({ precision, resize }: Pick<ExportForm, 'precision' | 'resize'>): number {
  if (resize) return 18;
  return precision === 'int8' ? 13 : opsets.oldest;
}

const precisionSuffix = { float32: [], float16: ['fp16'], int8: ['int8'] } as const;

/**
 * The file of a model: `<encoder>.<width label>`, then as far as they apply `.s<size>`, `.head`, `.classifier` or
 * `.classifier-<protocol>` of another protocol than `features`, `.u8`, `.resize`, `.b<batch>`, the outputs joined by
 * `-`, `.fp16` or `.int8`, `.shared`, then `.onnx`.
 */
export function modelFile(encoder: string, width: number, form: ExportForm): string {
  const { size, head, classifier, input, resize, batch, outputs, precision, shared } = form;
  const parts = [
    encoder,
    widthLabel(width),
    ...(size === null ? [] : [`s${size}`]),
    ...(head ? ['head'] : []),
    ...(classifier === null ? [] : [classifier === 'features' ? 'classifier' : `classifier-${classifier}`]),
    ...(input === 'uint8-nhwc' ? ['u8'] : []),
    ...(resize ? ['resize'] : []),
    ...(batch === null ? [] : [`b${batch}`]),
    ...(outputs.length === 0 ? [] : [outputs.join('-')]),
    ...precisionSuffix[precision],
    ...(shared ? ['shared'] : []),
  ];
  return `${parts.join('.')}.onnx`;
}
