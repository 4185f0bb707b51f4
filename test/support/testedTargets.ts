import { probeBlockedKernels } from '../../src/engines/nchwcProbe.js';
import { builtIn, type Choices, type ConvSize, type MapSize } from '../../src/targets/cpu/choices.js';
import { cpuTarget } from '../../src/targets/cpu/index.js';
import { cudaBuiltIn, openForms, type CudaChoices } from '../../src/targets/cuda/choices.js';
import { cudaTarget } from '../../src/targets/cuda/index.js';
import { portable } from '../../src/targets/portable.js';
import { ortTraining } from '../../src/targets/ortTraining/index.js';
import type { Target } from '../../src/targets/target.js';
import { webgpu } from '../../src/targets/webgpu/index.js';
import { trainingPython } from './pythons.js';
import { noWebGpu } from './webGpu.js';

/** A target as operators are tested on it. */
export interface TestedTarget {
  readonly title: string;
  readonly target: Target;
  /**
   * Whether maps `[N, C, H, W]` come out of a convolution, in whatever layout the target keeps them between layers;
   * otherwise they are inputs of the graph.
   */
  readonly betweenLayers?: boolean;
  /** Of the operands, unless a case says; default float64 where they are inputs of the graph. */
  readonly dtype?: 'float32';
  /** What its graphs run on; default: the CPU. */
  readonly provider?: 'webgpu';
  /** What this machine lacks to run its graphs, for a title. */
  readonly missing?: string;
}

/** Channels of a block on this machine; graphs for the other number only lower here. */
const probed = await probeBlockedKernels({ provider: 'cpu' });
export const machineBlock = 'reason' in probed ? null : probed.blockSize;

const cpu = (choices: Partial<Choices> = {}) => cpuTarget(machineBlock ?? 16, { ...builtIn, ...choices });

/** Maps that the built-in choices fold at most. */
const small = ({ height, width }: MapSize) => height * width <= 784;
const byTiles = ({ kernel, stride, height, width }: ConvSize) =>
  kernel === 3 && stride === 1 && Math.min(height, width) >= 4;

const cuda = (choices: Partial<CudaChoices> = {}) => cudaTarget({ ...cudaBuiltIn, ...choices });
/** The first of `wanted` that a convolution can take. */
const first = <F>(open: readonly F[], ...wanted: F[]) =>
  wanted.find((form) => open.includes(form)) ?? open[0]!;

const training = trainingPython();
const withoutDevice = await noWebGpu();
const withoutPython = training.missing !== '' && { missing: training.missing };

/** Every target that tests of operators run on. Another one is a line here. */
export const testedTargets: readonly TestedTarget[] = [
  { title: 'portable', target: portable },
  { title: 'cuda', target: cuda() },
  {
    title: 'cuda, by rows',
    target: cuda({
      forward: (conv) => first(openForms(conv).forward, 'product'),
      inputGradient: (conv) => first(openForms(conv).inputGradient, 'product', 'convolution'),
      weightGradient: (conv) => first(openForms(conv).weightGradient, 'rows'),
    }),
  },
  {
    title: 'cuda, by columns',
    target: cuda({
      inputGradient: () => 'transposed',
      weightGradient: (conv) => first(openForms(conv).weightGradient, 'columns'),
    }),
  },
  { title: 'cuda, by samples', target: cuda({ weightGradient: () => 'samples' }) },
  { title: 'webgpu', target: webgpu },
  {
    title: 'webgpu on its device',
    target: webgpu,
    dtype: 'float32',
    provider: 'webgpu',
    ...(withoutDevice !== null && { missing: ` (not here: ${withoutDevice})` }),
  },
  ...(machineBlock === null
    ? []
    : [
        { title: 'cpu', target: cpu() },
        { title: 'cpu, blocked maps', target: cpu({ folded: () => false }), betweenLayers: true },
        {
          title: 'cpu, folded maps',
          target: cpu({ folded: small, winograd: () => false }),
          betweenLayers: true,
        },
        { title: 'cpu, Winograd', target: cpu({ folded: small, winograd: byTiles }), betweenLayers: true },
      ]),
  { title: 'ort-training', target: ortTraining({ cuda: false }), dtype: 'float32', ...withoutPython },
  {
    title: 'ort-training, between layers',
    target: ortTraining({ cuda: false }),
    betweenLayers: true,
    ...withoutPython,
  },
];

/** A suite of tests of what a target does; where it cannot run here, one that is skipped and says what is missing. */
export function describeOn(tested: TestedTarget, title: string, body: () => void): void {
  if (tested.missing === undefined) describe(`${title}, ${tested.title}`, body);
  else it.skip(`${title}, ${tested.title}${tested.missing}`);
}
