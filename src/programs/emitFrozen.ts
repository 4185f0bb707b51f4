import type { Graph } from '../graph/graph.js';
import { type OnnxModel } from '../onnx/model.js';
import { emit } from '../targets/emit.js';
import { lower } from '../targets/lower.js';
import type { Target } from '../targets/target.js';
import { version } from '../version.js';

/** The model of a graph whose weights are inline defaults: they become constants, no longer inputs. */
export function emitFrozen(
  graph: Graph,
  target: Target,
  metadata: Readonly<Record<string, string>> = {},
  opset = target.opset,
): OnnxModel {
  const model = emit(lower(graph, target), { opset, version, metadata });
  const bound = new Set(model.initializers.map(({ name }) => name));
  return { ...model, inputs: model.inputs.filter(({ name }) => !bound.has(name)) };
}
