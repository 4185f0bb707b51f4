import type { Graph, Node } from '../../graph/graph.js';
import type { Target } from '../target.js';
import { batchNormTrain, batchNormTrainGrad } from './batchNorm.js';
import { builtIn, type Choices } from './choices.js';
import { conv } from './convolution.js';
import { add, relu, reluGrad } from './elementwise.js';
import type { KernelRules } from './guard.js';
import { convInputGrad } from './inputGradient.js';
import { layoutOf } from '../parameterLayout.js';
import { LayoutPass, type Rule } from './layoutPass.js';
import { addBlock, slice } from './parameterBlock.js';
import { expand, globalAveragePool, maxPool, maxPoolGrad } from './pooling.js';
import { convWeightGrad } from './weightGradient.js';

/** The rules of the layout pass, by operator. One that has none here, or whose rule declines, takes the portable lowering. */
const rules = {
  Add: add,
  AddBlock: addBlock,
  BatchNormTrain: batchNormTrain,
  BatchNormTrainGrad: batchNormTrainGrad,
  Conv: conv,
  ConvInputGrad: convInputGrad,
  ConvWeightGrad: convWeightGrad,
  Expand: expand,
  GlobalAveragePool: globalAveragePool,
  MaxPool: maxPool,
  MaxPoolGrad: maxPoolGrad,
  Relu: relu,
  ReluGrad: reluGrad,
  Slice: slice,
} satisfies Readonly<Record<string, Rule>>;

/** What was found of the blocked kernels of a runtime. */
export interface CpuKernels extends KernelRules {
  readonly block: 8 | 16;
}

export interface CpuTargetOptions {
  /** Whether the runtime takes groups over a plain image (guard.ts). Default no: graphs that every version runs. */
  readonly plainGroups?: boolean;
  /** Told of each convolution, or gradient of one, that takes the portable lowering. */
  readonly onDeclined?: ((graph: Graph, node: Node) => void) | undefined;
}

/** ONNX Runtime's blocked kernels on the CPU, `block` channels a block; other layers as `portable` has them. */
export function cpuTarget(
  block: 8 | 16,
  choices: Choices = builtIn,
  { plainGroups = false, onDeclined }: CpuTargetOptions = {},
): Target {
  return {
    name: 'cpu',
    opset: 17,
    optimization: 'disabled',
    layout([outputs = 0, inputs = 0, ...window]) {
      if (window.length !== 2 || outputs % block !== 0) return 'plain';
      if (inputs <= 4) return layoutOf('OIHWBo', block);
      return inputs % block === 0 ? layoutOf('OIHWBiBo', block) : 'plain';
    },
    rewrite: (graph, places) =>
      new LayoutPass(graph, choices, { block, plainGroups }, onDeclined).run(rules, places),
  };
}
