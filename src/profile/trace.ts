import { readFile } from 'node:fs/promises';

/** What the kernels of one operator in one layer and pass took. */
export interface KernelTime {
  /** ONNX operator as it ran, e.g. `Conv`; fused ones have names of ONNX Runtime's. */
  readonly operator: string;
  /** Dotted path of the layer, e.g. `encoder.layer1.0.conv1`; empty for a node outside of any. */
  readonly layer: string;
  readonly pass: 'forward' | 'backward';
  readonly calls: number;
  readonly milliseconds: number;
}

/** An event of a trace file of ONNX Runtime (Chrome's trace format); durations are microseconds. */
interface TraceEvent {
  readonly cat: string;
  readonly name: string;
  readonly dur: number;
  readonly args: { readonly op_name?: string };
}

const kernelSuffix = '_kernel_time';

/**
 * Sums the kernels of a trace file of ONNX Runtime by operator, layer and pass, longest first, without those of
 * the first `skippedRuns` runs. The events of a run's nodes stand before the event of the run.
 */
export async function readTrace(path: string, skippedRuns: number): Promise<KernelTime[]> {
  const times = new Map<string, KernelTime>();
  let run = 0;
  for (const event of JSON.parse(await readFile(path, 'utf8')) as TraceEvent[]) {
    if (event.cat === 'Session' && event.name === 'model_run') run += 1;
    if (event.cat !== 'Node' || !event.name.endsWith(kernelSuffix) || run < skippedRuns) continue;
    const operator = event.args.op_name!;
    const place = placeOf(event.name.slice(0, -kernelSuffix.length));
    const key = [operator, place.layer, place.pass].join('\n');
    const { calls, milliseconds } = times.get(key) ?? { calls: 0, milliseconds: 0 };
    times.set(key, {
      operator,
      ...place,
      calls: calls + 1,
      milliseconds: milliseconds + event.dur / 1000,
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
