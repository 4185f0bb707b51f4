import { SlimclrError } from '../errors.js';
import { Graph } from '../graph/graph.js';
import { encodeModel } from '../onnx/model.js';
import { Builder } from '../ops/builder.js';
import { emit } from '../targets/emit.js';
import { training } from '../targets/ortTraining/operators.js';
import type { EngineOptions } from './engineOptions.js';
import { openEngine } from './openEngine.js';

/**
 * Whether the ONNX Runtime of an engine is built for training, so that it runs the graphs of the target `ort-training`:
 * it loads a graph with one of its operators on the CPU, whatever the provider. Throws a SlimclrError where the engine
 * cannot be had.
 */
export async function isBuiltForTraining(options: EngineOptions): Promise<boolean> {
  // That of the package is not.
  if (options.engine !== 'python') return false;
  const engine = await openEngine({ ...options, provider: 'cpu', device: 0 });
  try {
    await engine.load(probeModel(), { name: 'training-probe' });
    return true;
  } catch (error) {
    if (error instanceof SlimclrError) return false;
    throw error;
  } finally {
    await engine.close();
  }
}

function probeModel(): Uint8Array {
  const graph = new Graph('training-probe');
  const x = graph.input('x', { dtype: 'float32', shape: [1] });
  graph.output('y', training(new Builder(graph), 'ReluGrad', [x, x])[0]!);
  return encodeModel(emit(graph, { opset: 17, version: '' }));
}
