import type { Config } from '../config/schema.js';
import type { Graph } from '../graph/graph.js';
import { encodeModel } from '../onnx/model.js';
import { emitPrograms } from '../programs/folder.js';
import { weightValues, type Weights } from '../programs/bindWeights.js';
import type { InputEntry } from '../programs/manifest.js';
import type { Network } from '../programs/network.js';
import type { Program } from '../programs/program.js';
import { createSession, type InferenceSession } from '../runtime/onnxRuntime.js';
import {
  floatTensor,
  Session,
  sessionOptions,
  type RuntimeOptions,
  type Tensor,
} from '../runtime/session.js';
import { emit } from '../targets/emit.js';
import { lower } from '../targets/lower.js';
import { portable } from '../targets/portable.js';
import type { Target } from '../targets/target.js';
import { version } from '../version.js';

/** A session of one program of a network, emitted in memory; its weights, row-major, are fed on every run. */
export async function openProgram(
  network: Network,
  config: Config,
  program: Program,
  target: Target = portable,
): Promise<Session> {
  const { manifest, programs } = emitPrograms(network, config, target, [program]);
  const { entry, bytes } = programs[0]!;
  return Session.of(entry, bytes, { ...config.runtime, optimization: manifest.optimization });
}

/** A session of a graph that reads no weights of a network. */
export async function openGraph(graph: Graph, runtime: RuntimeOptions): Promise<InferenceSession> {
  const model = emit(lower(graph, portable), { opset: portable.opset, version });
  return createSession(encodeModel(model), sessionOptions(runtime));
}

/** What a program's parameter and statistic inputs are fed with. */
export function weightFeeds(inputs: readonly InputEntry[], weights: Weights): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const { name, shape, kind } of inputs) {
    if (kind !== 'parameter' && kind !== 'statistic') continue;
    feeds[name] = floatTensor(weightValues(weights, name, shape), shape as readonly number[]);
  }
  return feeds;
}
