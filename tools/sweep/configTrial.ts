import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/config/schema.js';
import { replicaOptions } from '../../src/engines/engineOptions.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { methodPrograms } from '../../src/methods/index.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { emitPrograms } from '../../src/programs/folder.js';
import type { Manifest } from '../../src/programs/manifest.js';
import { Random } from '../../src/random.js';
import { unpack } from '../../src/targets/parameterLayout.js';
import { portable } from '../../src/targets/portable.js';
import type { Target } from '../../src/targets/target.js';
import { TrainingState } from '../../src/training/state.js';
import { MethodStep } from '../../src/training/steps/methodStep.js';
import { drawInputs } from '../reference/inputs.js';
import { microBatches, withKeys, writeTeacher } from '../reference/trainingStep.js';
import type { DrawnConfig } from './configs.js';

/** Steps of a config that are compared: the first for the losses and gradients, the others for what they leave behind. */
const steps = 3;
/**
 * Rates at which a loss moves by a small part of itself. LARS has a trust of 0.001 for weights alone; at 0.5, gammas and
 * betas throw the loss of a small batch about, and three steps amplify rounding a thousandfold.
 */
const learningRates = { sgd: 0.005, lars: 0.01, adamw: 0.0005 } as const;
/** By how much of themselves the weights move in the run that shows how a config answers to rounding. */
const rounding = 1e-6;
/** Such runs at most. */
const answers = 9;
/** How much larger than that run's difference a target's may be. */
const margin = 30;
/**
 * And of the loss itself; of what training has changed of it; and of the norm of a gradient. A unit of a ReLU within
 * rounding error of 0 makes a gradient jump, by as much as the unit is of a small network.
 */
const bounds = { loss: 1e-5, change: 0.02, gradient: 0.02 };

/** What one target computed. */
interface Run {
  /** Of each step, by width and term. */
  readonly losses: readonly ReadonlyMap<string, number>[];
  /** Of the first step, by parameter, row-major. */
  readonly gradients: readonly Float32Array[];
  /** By how much that step has moved each parameter. */
  readonly moves: readonly Float32Array[];
}

export interface TargetDifference {
  readonly target: string;
  /** Largest part of its bound that a difference reaches; above 1 the target is wrong. */
  readonly badness: number;
  /** Where that is, with both numbers. */
  readonly place: string;
}

/**
 * Runs a config for a few steps on `portable` and on each of `targets`, from the same state on the same images, and
 * says how far they are apart. Whole configs amplify rounding by what their batch norms of few values and their
 * losses make of it, so `portable` runs once more on weights moved by a millionth: what it answers is the measure.
 */
export async function tryConfig(drawn: DrawnConfig, targets: readonly Target[]): Promise<TargetDifference[]> {
  const { config, images } = drawn;
  const reference = await OpenConfig.open(config, portable);
  const inputs = drawInputs(reference.manifest, config, { seed: config.seed, images });
  const expected = await reference.run(inputs);
  const moved = [await reference.run(movedWeights(inputs, 1))];
  const differences: TargetDifference[] = [];
  for (const target of targets) {
    const opened = await OpenConfig.open(config, target);
    const run = await opened.run(inputs);
    await opened.close();
    let found = compare(run, expected, moved);
    // Steps of a small batch jump, and one answer may miss it: others are heard before a target is blamed.
    while (found.badness > 1 && moved.length < answers) {
      moved.push(await reference.run(movedWeights(inputs, moved.length + 1)));
      found = compare(run, expected, moved);
    }
    differences.push({ target: target.name, ...found });
  }
  await reference.close();
  return differences;
}

/** The training step of a config on one target, in a folder of its own. */
class OpenConfig {
  private constructor(
    private readonly config: Config,
    private readonly folder: string,
    readonly manifest: Manifest,
    private readonly state: TrainingState,
    private readonly step: MethodStep,
  ) {}

  static async open(config: Config, target: Target): Promise<OpenConfig> {
    const folder = mkdtempSync(join(tmpdir(), 'slimclr-sweep-'));
    try {
      const { network, programs } = methodPrograms(config);
      const trained = programs.filter(({ kind }) => kind !== 'embed' && kind !== 'calibrate');
      const { manifest, programs: files } = emitPrograms(network, config, target, trained);
      for (const { entry, bytes } of files) await writeFile(join(folder, entry.file), bytes);
      await writeTeacher(folder, config);
      const engine = await openEngine(replicaOptions(config.runtime));
      const state = new TrainingState(engine, manifest, config);
      return new OpenConfig(
        config,
        folder,
        manifest,
        state,
        await MethodStep.open(folder, manifest, config, state),
      );
    } catch (error) {
      rmSync(folder, { recursive: true });
      throw error;
    }
  }

  async run(inputs: ReadonlyMap<string, TensorData>): Promise<Run> {
    const { config, manifest, state, step } = this;
    await state.restore(withKeys(inputs, manifest), 0);
    const losses: Map<string, number>[] = [];
    const gradients: Float32Array[] = [];
    const moves: Float32Array[] = [];
    const batches = microBatches(inputs, config);
    const learningRate = learningRates[config.optimizer.kind];
    for (let i = 0; i < steps; i++) {
      const done = { all: i, narrow: i, total: 100 };
      const result = await step.run({ batches, learningRate, allWidths: true, steps: done });
      losses.push(termsOf(result.losses));
      if (i > 0) continue;
      const { total } = step.runner.gradients;
      const [after, sums] = [await state.tensors(), await total.readAll()];
      for (const { name, shape, layout } of manifest.parameters) {
        gradients.push(Float32Array.from(unpack(total.viewOf(name, sums), shape, layout)));
        const before = inputs.get(name)!.data as Float32Array;
        const now = after.get(name)!.data as Float32Array;
        moves.push(before.map((value, j) => now[j]! - value));
      }
    }
    return { losses, gradients, moves };
  }

  async close(): Promise<void> {
    await this.step.close();
    await this.state.engine.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** Weights and running means, of the key network too, a little off; images, labels, queue and keys as they are. */
function movedWeights(inputs: ReadonlyMap<string, TensorData>, seed: number): Map<string, TensorData> {
  const random = new Random(seed);
  return new Map(
    [...inputs].map(([name, { data, ...type }]) => {
      if (!/\.(weight|bias|gamma|beta|running_mean)$/.test(name)) return [name, { data, ...type }];
      const moved = (data as Float32Array).map((value) => value * (1 + random.uniform(-rounding, rounding)));
      return [name, { ...type, data: moved }];
    }),
  );
}

function termsOf(
  losses: Readonly<Record<string, { loss: number; terms: Readonly<Record<string, number>> }>>,
) {
  const terms = new Map<string, number>();
  for (const [label, { loss, terms: parts }] of Object.entries(losses)) {
    for (const [name, value] of Object.entries({ loss, ...parts })) terms.set(`${label}.${name}`, value);
  }
  return terms;
}

function compare(run: Run, expected: Run, moved: readonly Run[]): Omit<TargetDifference, 'target'> {
  let worst = { badness: 0, place: 'nowhere' };
  const note = (badness: number, place: string) => {
    // Not `badness > worst`: a NaN is the worst.
    if (!(badness <= worst.badness)) worst = { badness: Number.isNaN(badness) ? Infinity : badness, place };
  };
  for (const [i, losses] of expected.losses.entries()) {
    for (const [name, value] of losses) {
      const found = run.losses[i]!.get(name)!;
      const answer = largest(moved, ({ losses }) => Math.abs(losses[i]!.get(name)! - value));
      const change = Math.abs(value - expected.losses[0]!.get(name)!);
      const bound = bounds.loss * Math.max(1, Math.abs(value)) + margin * answer + bounds.change * change;
      note(
        Math.abs(found - value) / bound,
        `step ${i + 1}, ${name}: ${found}, portable ${value}, bound ${bound.toExponential(1)}`,
      );
    }
  }
  const error = distance(run.gradients, expected.gradients);
  const bound =
    bounds.gradient + margin * largest(moved, ({ gradients }) => distance(gradients, expected.gradients));
  note(error / bound, `gradient: ${error.toExponential(1)} of its norm off, bound ${bound.toExponential(1)}`);
  // Single parameters may have no gradient but rounding, such as a bias in front of a batch norm.
  const middle = medianDistance(run.moves, expected.moves);
  const moveBound =
    bounds.gradient + margin * largest(moved, ({ moves }) => medianDistance(moves, expected.moves));
  note(
    middle / moveBound,
    `moves of parameters: ${middle.toExponential(1)} of themselves off in the median, bound ${moveBound.toExponential(1)}`,
  );
  return worst;
}

const largest = (runs: readonly Run[], of: (run: Run) => number) => Math.max(...runs.map(of));

/** Of the parameters that move at all. */
function medianDistance(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  const distances = b
    .flatMap((part, i) => (part.some((value) => value !== 0) ? [distance([a[i]!], [part])] : []))
    .sort((x, y) => x - y);
  return distances[distances.length >> 1] ?? 0;
}

/** Norm of the difference over that of the second. */
function distance(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let [difference, norm] = [0, 0];
  for (const [part, expected] of b.entries()) {
    const found = a[part]!;
    for (let i = 0; i < expected.length; i++) {
      difference += (found[i]! - expected[i]!) ** 2;
      norm += expected[i]! ** 2;
    }
  }
  return Math.sqrt(difference / norm);
}
