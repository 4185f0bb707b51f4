import { encodeModel } from '../../src/onnx/model.js';
import type { Program } from '../../src/programs/program.js';
import { Session, type RuntimeOptions } from '../../src/runtime/session.js';
import { emit } from '../../src/targets/emit.js';
import { lower } from '../../src/targets/lower.js';
import { portable } from '../../src/targets/portable.js';
import type { Target } from '../../src/targets/target.js';

/** A session of one graph, lowered for `target`, on one CPU thread unless told; its entry says its name and kind only. */
export function openSession(
  { name, kind, graph }: Pick<Program, 'name' | 'kind' | 'graph'>,
  { target = portable, ...options }: Partial<RuntimeOptions> & { readonly target?: Target } = {},
): Promise<Session> {
  const bytes = encodeModel(emit(lower(graph, target), { opset: target.opset, version: '' }));
  const entry = { name, kind, file: '', sha256: '', flops: 0, parameters: 0, inputs: [], outputs: [] };
  return Session.of(entry, bytes, { provider: 'cpu', threads: 1, ...options });
}
