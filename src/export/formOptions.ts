import type { Config } from '../config/schema.js';
import type { Encoder } from '../encoders/encoder.js';
import { UsageError } from '../errors.js';
import type { ProbeProtocol } from '../evaluation/results.js';
import { opsets } from '../onnx/opsets.js';
import {
  inputForms,
  oldestOpset,
  plainForm,
  precisions,
  type ExportForm,
  type InputForm,
  type Precision,
} from './form.js';

/** What form the exported models have. */
export interface FormOptions {
  /** Add the output `logits` of a linear probe's classifier: of this protocol, `true` meaning `features`. */
  readonly classifier?: boolean | ProbeProtocol;
  /** Add the output `embedding` of the head, such as a SEED teacher needs. */
  readonly head?: boolean;
  /** Side of the images that the models take, in pixels; default data.imageSize. */
  readonly size?: number;
  /** Of weights and inner values; default `float32`. A width may stay float32, see `Conversion`. */
  readonly precision?: Precision;
  /** What the models take as `images`; default `float32-nchw`, normalised. */
  readonly input?: InputForm;
  /** Take images of any height and width, and resize and crop them in the model. */
  readonly resize?: boolean;
  /** Number of images that the models take; default any. */
  readonly batch?: number;
  /** Add the maps that leave these stages of the encoder, such as `layer2`. */
  readonly outputs?: readonly string[];
  /** Put the weights into one file that the models of all widths share; they are some kilobytes each. */
  readonly shared?: boolean;
  /** ONNX opset of the models; default: the oldest that has all their operators. */
  readonly opset?: number;
}

/** The form that options stand for. Throws a UsageError for values and combinations that are not accepted. */
export function exportForm(
  options: FormOptions,
  { data }: Pick<Config, 'data'>,
  { stages }: Pick<Encoder, 'stages'>,
): ExportForm {
  const { size = data.imageSize, head = false, classifier = false, precision = 'float32' } = options;
  if (!precisions.includes(precision)) {
    throw new UsageError(`export: ${String(precision)} is no precision; accepted: ${precisions.join(', ')}`);
  }
  const {
    input = plainForm.input,
    resize = false,
    batch = null,
    outputs = [],
    shared = false,
    opset,
  } = options;
  if (shared && precision !== 'float32') {
    throw new UsageError(
      `export: the weights of ${precision} models are of one width each, and cannot be shared; accepted: float32`,
    );
  }
  if (!inputForms.includes(input)) {
    throw new UsageError(`export: ${String(input)} is no input; accepted: ${inputForms.join(', ')}`);
  }
  if (input === 'uint8-nhwc' && data.depth !== 8) {
    throw new UsageError(
      `export: the input ${input} of a run whose images keep ${data.depth} bits; accepted: float32-nchw`,
    );
  }
  if (batch !== null && !(Number.isInteger(batch) && batch >= 1)) {
    throw new UsageError(`export: a batch of ${batch}; accepted: an integer >= 1`);
  }
  const foreign = outputs.find((name) => !stages.includes(name));
  if (foreign !== undefined) {
    throw new UsageError(
      `export: the encoder has no stage ${JSON.stringify(foreign)} whose map could be an output; ` +
        `accepted: ${stages.join(', ')}`,
    );
  }
  const form: ExportForm = {
    ...plainForm,
    precision,
    size: size === data.imageSize ? null : size,
    head,
    classifier: classifier === true ? 'features' : classifier || null,
    input,
    resize,
    batch,
    outputs: stages.filter((name) => outputs.includes(name)),
    shared,
  };
  if (opset !== undefined) checkOpset(opset, form);
  return form;
}

function checkOpset(opset: number, form: ExportForm): void {
  const oldest = oldestOpset(form);
  if (Number.isInteger(opset) && opset >= oldest && opset <= opsets.newest) return;
  const reason = oldest === opsets.oldest ? '' : form.resize ? ' with resize' : ` with ${form.precision}`;
  throw new UsageError(`export: opset ${opset}${reason}; accepted: ${oldest} to ${opsets.newest}`);
}
