import * as ort from 'onnxruntime-node';
import type { Config } from '../config/schema.js';
import type { Graph } from '../graph/graph.js';
import { encodeModel } from '../onnx/model.js';
import { emitPrograms } from '../programs/folder.js';
import type { Network } from '../programs/network.js';
import type { Program } from '../programs/program.js';
import { Session, sessionOptions, type RuntimeOptions } from '../runtime/session.js';
import { emit } from '../targets/emit.js';
import { targets } from '../targets/index.js';
import { lower } from '../targets/lower.js';
import { portable } from '../targets/portable.js';
import { version } from '../version.js';

/** A session of one program of a network, emitted in memory; its weights are fed on every run. */
export async function openProgram(network: Network, config: Config, program: Program): Promise<Session> {
  const { programs } = emitPrograms(network, config, targets[config.runtime.target], [program]);
  const { entry, bytes } = programs[0]!;
  return Session.of(entry, bytes, config.runtime);
}

/** A session of a graph that reads no weights of a network. */
export async function openGraph(graph: Graph, runtime: RuntimeOptions): Promise<ort.InferenceSession> {
  const model = emit(lower(graph, portable), { opset: portable.opset, version });
  return ort.InferenceSession.create(encodeModel(model), sessionOptions(runtime));
}
