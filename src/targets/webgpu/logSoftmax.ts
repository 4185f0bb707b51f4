import type { Lowering, NoAttributes } from '../../ops/operator.js';

/** LogSoftmax, which has no WebGPU kernel: z - log sum exp z with z = x - max x, over the last axis. */
export const logSoftmax: Lowering<NoAttributes> = (b, [x]) => {
  const z = b.op('Sub', [x!, b.op('ReduceMax', [x!], { axes: [-1] })]);
  return [b.op('Sub', [z, b.op('Log', [b.op('ReduceSum', [b.op('Exp', [z])], { axes: [-1] })])])];
};
