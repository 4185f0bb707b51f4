import type { Graph } from '../../graph/graph.js';
import { lowerByRules } from '../lower.js';
import type { LoweringRules, Target } from '../target.js';
import { slice } from './booleans.js';
import { concat, split } from './buffers.js';
import { withoutFloat64 } from './float64.js';
import { convInputGrad } from './inputGradient.js';
import { equal } from './labels.js';
import { logSoftmax } from './logSoftmax.js';
import { maxPoolGrad } from './maxPoolGrad.js';
import { convWeightGrad } from './weightGradient.js';

const composites: LoweringRules = {
  ConvInputGrad: convInputGrad,
  ConvWeightGrad: convWeightGrad,
  MaxPoolGrad: maxPoolGrad,
};

/** Rules for what the first pass leaves, the portable lowerings of composite operators included. */
const standard: LoweringRules = {
  Concat: concat,
  Equal: equal,
  LogSoftmax: logSoftmax,
  Slice: slice,
  Split: split,
};

/**
 * ONNX Runtime's WebGPU provider: standard operators, those that it has kernels for, none of which binds more buffers
 * than a shader may. No node of a training step runs on the CPU, which would copy its inputs from the device and back.
 */
export const webgpu: Target = {
  name: 'webgpu',
  opset: 17,
  optimization: 'all',
  rewrite: (graph: Graph) =>
    lowerByRules(lowerByRules(withoutFloat64(graph), 'webgpu', composites), 'webgpu', standard),
};
