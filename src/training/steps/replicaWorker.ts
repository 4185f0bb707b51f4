/** Worker thread of `ReplicatedStep`: runs the part of each step that it is sent, on a state of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Config } from '../../config/schema.js';
import { replicaOptions } from '../../engines/engineOptions.js';
import { openEngine } from '../../engines/openEngine.js';
import type { TensorData } from '../../onnx/safetensors.js';
import type { Manifest } from '../../programs/manifest.js';
import { ThreadGroup, type GroupSetup } from '../../runtime/replicaGroup.js';
import { TrainingState } from '../state.js';
import { MethodStep } from './methodStep.js';
import type { StepInput } from './step.js';

/** What a replica is started with: what training began with, and its state. */
export interface ReplicaSetup {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly config: Config;
  /** Values of `TrainingState.arenas`. */
  readonly arenas: readonly Float32Array[];
  /** Of float16, as a checkpoint holds it. */
  readonly lossScale: TensorData | undefined;
  /** Steps done. */
  readonly step: number;
  readonly group: GroupSetup;
  readonly rank: number;
}

/** Its part of a step, or to end. */
export type ReplicaRequest = StepInput | 'close';

const setup = workerData as ReplicaSetup;
const port = parentPort!;
const group = new ThreadGroup(setup.group, setup.rank);
const engine = await openEngine(replicaOptions(setup.config.runtime, setup.rank));
const state = new TrainingState(engine, setup.manifest, setup.config);
for (const [i, arena] of state.arenas.entries()) await arena.writeAll(setup.arenas[i]!);
state.lossScale?.load(setup.lossScale);
state.step = setup.step;
const step = await MethodStep.open(setup.folder, setup.manifest, setup.config, state, { group });

async function answer(request: ReplicaRequest): Promise<void> {
  if (request === 'close') {
    await step.close();
    await engine.close();
    group.close();
    port.close();
  } else {
    await step.run(request);
    port.postMessage('done');
  }
}

// What a step throws ends this thread, which its parent is told.
port.on('message', (request: ReplicaRequest) => void answer(request));
port.postMessage('ready');
