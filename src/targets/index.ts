import type { Config } from '../config/schema.js';
import { cpuTarget } from './cpu/index.js';
import { cudaTarget } from './cuda/index.js';
import { ortTraining } from './ortTraining/index.js';
import { portable } from './portable.js';
import type { Target } from './target.js';
import { webgpu } from './webgpu/index.js';

/**
 * The targets by name, each as it is on any machine: `cpu` for processors with AVX-512, with the built-in choices;
 * `ort-training` for the CPU provider.
 */
export const targets: Readonly<Record<Exclude<Config['runtime']['target'], 'auto'>, Target>> = {
  portable,
  cpu: cpuTarget(16),
  cuda: cudaTarget(),
  webgpu,
  'ort-training': ortTraining({ cuda: false }),
};

/**
 * ONNX Runtime's blocked kernels on x64 processors: `block` 16 where it uses AVX-512, 8 elsewhere (`doctor` of
 * `slimclr` tells which). Models are opset 17 with nodes of the domain `com.microsoft.nchwc`, in the order that is
 * meant: create their sessions with `graphOptimizationLevel: 'disabled'`.
 *
 * Only convolutions whose weights are held in blocks use them: name the weights, `[K, C, kh, kw]`, and their gradients
 * in `places` of `lower`, with the `layout` that the target gives for the shape, feed them in `storedShape` as `pack`
 * orders them, and `unpack` the gradients.
 */
export function cpu(block: 8 | 16): Target & Required<Pick<Target, 'layout'>> {
  const target = cpuTarget(block);
  return { ...target, layout: (shape) => target.layout!(shape) };
}
