import { z } from 'zod';
import { readJson, type Json } from '../readJson.js';

/** What the kernels of one operator in one layer and pass took. */
export const kernelTimeSchema = z.object({
  /** ONNX operator as it ran, e.g. `Conv`; fused ones have names of ONNX Runtime's. */
  operator: z.string(),
  /** Dotted path of the layer, e.g. `encoder.layer1.0.conv1`; empty for a node outside of any. */
  layer: z.string(),
  pass: z.enum(['forward', 'backward']),
  calls: z.number(),
  milliseconds: z.number(),
});
export type KernelTime = Json<typeof kernelTimeSchema>;

/** The events of a trace file of ONNX Runtime (Chrome's trace format); durations are microseconds. */
const traceSchema = z.array(
  z.object({
    cat: z.string().optional(),
    name: z.string().optional(),
    dur: z.number().default(0),
    args: z.object({ op_name: z.string().default('') }).default({ op_name: '' }),
  }),
);

const kernelSuffix = '_kernel_time';

/**
 * Sums the kernels of a trace file of ONNX Runtime by operator, layer and pass, longest first, without those of
 * the first `skippedRuns` runs. The events of a run's nodes stand before the event of the run.
 */
export async function readTrace(path: string, skippedRuns: number): Promise<KernelTime[]> {
  const times = new Map<string, KernelTime>();
  let run = 0;
  for (const { name = '', dur, args, ...event } of await readJson(path, traceSchema)) {
    if (event.cat === 'Session' && name === 'model_run') run += 1;
    if (event.cat !== 'Node' || !name.endsWith(kernelSuffix) || run < skippedRuns) continue;
    const operator = args.op_name;
    const place = placeOf(name.slice(0, -kernelSuffix.length));
    const key = [operator, place.layer, place.pass].join('\n');
    const { calls, milliseconds } = times.get(key) ?? { calls: 0, milliseconds: 0 };
    times.set(key, {
      operator,
      ...place,
      calls: calls + 1,
      milliseconds: milliseconds + dur / 1000,
    });
  }
  return [...times.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}

/** `encoder.bn1/BatchNormTrain.grad/BatchNormTrainGrad/Mul`: layer `encoder.bn1`, backward. */
function placeOf(node: string): Pick<KernelTime, 'layer' | 'pass'> {
  const path = node.replace(/^fused /, '');
  const end = path.indexOf('/');
  return {
    layer: end === -1 ? '' : path.slice(0, end),
    pass: /\.grad(\/|$)/.test(path) ? 'backward' : 'forward',
  };
}
