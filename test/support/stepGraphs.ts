import type { Engine } from '../../src/engines/engine.js';
import { encodeModel } from '../../src/onnx/model.js';
import type { Program } from '../../src/programs/program.js';
import { emit } from '../../src/targets/emit.js';
import { lower } from '../../src/targets/lower.js';
import { portable } from '../../src/targets/portable.js';
import type { Target } from '../../src/targets/target.js';
import { StepGraphs } from '../../src/training/steps/stepGraphs.js';

/** Programs, lowered for `target`, on an engine; their entries say name and kind only. */
export function openStepGraphs(
  engine: Engine,
  programs: readonly Pick<Program, 'name' | 'kind' | 'graph'>[],
  {
    target = portable,
    repetitions,
  }: { readonly target?: Target; readonly repetitions?: ReadonlyMap<string, number> } = {},
): Promise<StepGraphs> {
  const models = programs.map(({ name, kind, graph }) => ({
    entry: { name, kind, file: '', sha256: '', flops: 0, parameters: 0, inputs: [], outputs: [] },
    bytes: encodeModel(emit(lower(graph, target), { opset: target.opset, version: '' })),
  }));
  return StepGraphs.of(engine, models, target, { ...(repetitions && { repetitions }) });
}
