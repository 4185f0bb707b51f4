import type { Config } from '../config/schema.js';
import type { Graph, Node } from '../graph/graph.js';
import { chooseTarget, type ChooseOptions } from '../tuning/chooseTarget.js';
import type { TargetRecord } from '../tuning/targetRecord.js';
import { replicaOptions } from '../engines/engineOptions.js';
import { ortLibrary } from '../engines/ortLibrary.js';
import { isBuiltForTraining } from '../engines/trainingProbe.js';
import { probeBlockedKernels } from '../engines/nchwcProbe.js';

export interface RunTargetOptions extends ChooseOptions {
  /** What the run that is resumed was lowered for. */
  readonly recorded: TargetRecord | null;
  readonly onNotice: (message: string) => void;
}

/**
 * What the programs of a run are lowered for: what they were lowered for before, whatever would be chosen today, or
 * else what is best on this machine. A run that was begun on a machine with other kernels chooses again. Throws a
 * SlimclrError where the ONNX Runtime of the config does not load.
 */
export async function runTarget(config: Config, options: RunTargetOptions): Promise<TargetRecord> {
  const { recorded, onNotice, probe = probeBlockedKernels } = options;
  // One that does not load is no question of kernels.
  if (config.runtime.engine === 'in-process') ortLibrary(config.runtime.library);
  if (recorded) {
    if (await runsHere(recorded, config.runtime, probe)) return recorded;
    onNotice(
      'the run was begun on a machine or an engine with other kernels: its numbers differ by rounding from here on',
    );
  }
  const chosen = await chooseTarget(config, options);
  if (chosen.target === 'portable' && chosen.reason !== undefined) {
    onNotice(
      `portable graphs, whose steps take about twice as long: ONNX Runtime's blocked kernels cannot be used ` +
        `(${chosen.reason})`,
    );
  }
  return chosen;
}

/** Whether what a run was lowered for runs here; standard operators do wherever the config's provider does. */
export async function runsHere(
  recorded: TargetRecord,
  runtime: Config['runtime'],
  probe = probeBlockedKernels,
): Promise<boolean> {
  if (recorded.target === 'ort-training') return isBuiltForTraining(replicaOptions(runtime));
  if (recorded.target !== 'cpu') return true;
  if (runtime.engine !== 'in-process') return false;
  const kernels = await probe(runtime);
  return (
    'blockSize' in kernels &&
    kernels.blockSize === recorded.block &&
    (kernels.plainGroups || !recorded.plainGroups)
  );
}

/** Counts the layers of the training graphs that the cpu target leaves to the portable lowering. */
export class DeclinedLayers {
  #count = 0;
  #first = '';

  add(graph: Graph, node: Node): void {
    if (!/^(key|query)/.test(graph.name)) return;
    if (this.#count === 0) this.#first = `${node.name} of ${graph.name}`;
    this.#count++;
  }

  /** One line; null when there are none. */
  get notice(): string | null {
    if (this.#count === 0) return null;
    return (
      `portable lowering, which is slower, for ${this.#count} convolutions and gradients whose channels or batch ` +
      `fill no whole blocks, the first: ${this.#first}`
    );
  }
}
