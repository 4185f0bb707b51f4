/**
 * `slimclr/web`: the models of an export in a browser. Needs nothing but onnxruntime-web.
 *
 * `Family.open` reads the manifest, `choose` takes the largest width that fits into a budget on this device, `embed`
 * makes features of a canvas, a file or the frame of a video, preprocessed as in training.
 */
export { SlimclrError } from '../errors.js';
export type { BudgetChoice, Timed } from './budget.js';
export { Encoder, type Embedding, type OnnxRuntime } from './encoder.js';
export {
  Family,
  isPlain,
  type Choice,
  type ChoiceOptions,
  type FamilyOptions,
  type WebProvider,
} from './family.js';
export type { FamilyFile, FamilyManifest, FamilyModel, ModelPreprocessing, ModelTensor } from './manifest.js';
export type { Pixels } from './modelInput.js';
export type { Drawable, Picture } from './picture.js';
