/** Worker thread of `ReplicatedStep`: runs the part of each step that it is sent, on a state of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Config } from '../../config/schema.js';
import { replicaOptions } from '../../engines/engineOptions.js';
import { openEngine } from '../../engines/openEngine.js';
import type { TensorData } from '../../onnx/safetensors.js';
import type { Manifest } from '../../programs/manifest.js';
import { ThreadGroup, type GroupSetup } from '../../distributed/replicaGroup.js';
import { TrainingState, type SharedState } from '../state.js';
import { MethodStep } from './methodStep.js';
import type { StepInput } from './step.js';

/** What a replica is started with: what training began with, and its state. */
export interface ReplicaSetup {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly config: Config;
  /** The state of the first replica, where its memory is shared. */
  readonly shared: SharedState | null;
  /** Values of `TrainingState.arenas`, or where those are shared of the statistics alone. */
  readonly arenas: readonly Float32Array[];
  /** Of float16, as a checkpoint holds it. */
  readonly lossScale: TensorData | undefined;
  /** Steps done. */
  readonly step: number;
  readonly group: GroupSetup;
  readonly rank: number;
}

/** To open, when all replicas are there; its part of a step; or to end. */
export type ReplicaRequest = 'open' | StepInput | 'close';

const setup = workerData as ReplicaSetup;
const port = parentPort!;
const group = new ThreadGroup(setup.group, setup.rank);
let step: MethodStep | undefined;

async function open(): Promise<void> {
  const { folder, manifest, config, shared, arenas, lossScale, rank } = setup;
  const engine = await openEngine(replicaOptions(config.runtime, rank));
  const state = new TrainingState(engine, manifest, config, shared ?? undefined);
  const own = shared ? [state.statistics] : state.arenas;
  for (const [i, arena] of own.entries()) await arena.writeAll(arenas[i]!);
  state.lossScale?.load(lossScale);
  state.step = setup.step;
  step = await MethodStep.open(folder, manifest, config, state, { group, shares: shared !== null });
}

async function answer(request: ReplicaRequest): Promise<void> {
  if (request === 'close') {
    await step?.close();
    await step?.runner.engine.close();
    group.close();
    port.close();
    return;
  }
  await (request === 'open' ? open() : step!.run(request));
  port.postMessage('done');
}

// What a step throws ends this thread, which its parent is told.
port.on('message', (request: ReplicaRequest) => void answer(request));
port.postMessage('present');
