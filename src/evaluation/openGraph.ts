import type { Config } from '../config/schema.js';
import { floats, HostGraph, withoutDefaults, type EngineSource } from '../engines/hostGraph.js';
import type { Graph } from '../graph/graph.js';
import type { OnnxModel } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { emitPrograms } from '../programs/folder.js';
import { weightValues, type Weights } from '../programs/bindWeights.js';
import type { GraphEntry, InputEntry, Manifest } from '../programs/manifest.js';
import type { Network } from '../programs/network.js';
import type { Program } from '../programs/program.js';
import { emit } from '../targets/emit.js';
import { lower } from '../targets/lower.js';
import { portable } from '../targets/portable.js';
import type { Target } from '../targets/target.js';
import { version } from '../version.js';

/** A model, and how it is to be loaded. */
export interface EmittedModel extends Pick<Manifest, 'optimization'> {
  readonly model: OnnxModel;
}

/** One program of a network, emitted in memory; its weights, row-major, are to be fed. */
export function emittedProgram(
  network: Network,
  config: Config,
  program: Program,
  target: Target = portable,
): EmittedModel & { readonly entry: GraphEntry } {
  const { manifest, programs } = emitPrograms(network, config, target, [program]);
  const { entry, model } = programs[0]!;
  return { entry, model: withoutDefaults(model), optimization: manifest.optimization };
}

/** A graph that reads no weights of a network. */
export function emitted(graph: Graph): EmittedModel {
  const model = emit(lower(graph, portable), { opset: portable.opset, version });
  return { model, optimization: portable.optimization };
}

/** A program on arrays of the host. */
export async function openProgram(
  network: Network,
  config: Config,
  program: Program,
  on: EngineSource = config.runtime,
): Promise<{ readonly entry: GraphEntry; readonly graph: HostGraph }> {
  const { entry, model, optimization } = emittedProgram(network, config, program);
  return { entry, graph: await HostGraph.open(model, on, { name: entry.name, optimization }) };
}

/** A graph without weights on arrays of the host. */
export function openGraph(graph: Graph, on: EngineSource): Promise<HostGraph> {
  const { model, optimization } = emitted(graph);
  return HostGraph.open(model, on, { optimization });
}

/** What a program's parameter and statistic inputs are fed with. */
export function weightFeeds(inputs: readonly InputEntry[], weights: Weights): Record<string, TensorData> {
  const feeds: Record<string, TensorData> = {};
  for (const { name, shape, kind } of inputs) {
    if (kind !== 'parameter' && kind !== 'statistic') continue;
    feeds[name] = floats(weightValues(weights, name, shape), shape as readonly number[]);
  }
  return feeds;
}
