import type { Config } from '../../config/schema.js';
import type { Place, Places } from '../../engines/engine.js';
import { lossWeights } from '../../losses/reweighting.js';
import type { HeldTensors } from '../../methods/step.js';
import { widthLabel } from '../../nn/widthLabel.js';
import type { GraphEntry, Manifest } from '../../programs/manifest.js';
import { names, prefixes } from '../../programs/names.js';
import { distilledPrediction, teachersOf } from '../../programs/query.js';
import type { GradientSum } from '../gradientSum.js';
import { ScalarInputs } from '../scalars.js';
import type { TrainingState } from '../state.js';
import type { PreparedRuns } from './preparedRuns.js';
import type { StepGraphs, StepRun } from './stepGraphs.js';
import type { StepTensors } from './stepTensors.js';

/** What a width predicted in a pass, `[R, C]` and `[R, D]`, by its label. */
export interface WidthOutputs {
  readonly logits: Place;
  readonly embedding?: Place;
}

/** Forward and backward of each width: what its query graph is bound to, and what it is weighted by. */
export class QueryRuns {
  /** By width label: where the query graphs write what the method, other widths and the diagnostics read. */
  readonly outputs: ReadonlyMap<string, WidthOutputs>;
  readonly #weights: ScalarInputs;
  readonly #lambdas: readonly number[];

  constructor(
    private readonly config: Config,
    private readonly manifest: Manifest,
    private readonly state: TrainingState,
    private readonly graphs: StepGraphs,
    private readonly runs: PreparedRuns,
    private readonly gradients: GradientSum,
    tensors: StepTensors,
  ) {
    this.#lambdas = lossWeights(config.techniques.reweighting, config.widths);
    this.#weights = new ScalarInputs(state.engine, [...manifest.labels, names.lossScale]);
    this.outputs = new Map(
      manifest.labels.map((label) => {
        const { outputs } = this.entry(label);
        const zeros = (name: string) => {
          const shape = outputs.find((output) => output.name === name)?.shape as
            readonly number[] | undefined;
          return shape && tensors.memory(`${name}.${label}`, shape);
        };
        const embedding = zeros(names.embedding);
        return [label, { logits: zeros(names.logits)!, ...(embedding && { embedding }) }];
      }),
    );
  }

  entry(label: string): GraphEntry {
    return this.graphs.entry(`query.${label}`);
  }

  /** What the gradients of the widths, wide first, are multiplied by in the runs that follow. */
  async weight(labels: readonly string[], allWidths: boolean, gradientWeight: number): Promise<void> {
    for (const [index, label] of labels.entries()) {
      this.#weights.set(label, (allWidths ? this.#lambdas[index]! : 1) * gradientWeight);
    }
    this.#weights.set(names.lossScale, this.state.lossScale?.value ?? 1);
    await this.#weights.send();
  }

  /** `losses`: where the graph writes those. */
  run(index: number, allWidths: boolean, inputs: HeldTensors, losses: Places): StepRun {
    const label = this.manifest.labels[index]!;
    const entry = this.entry(label);
    const { gradients } = this;
    const variant = `${allWidths} ${gradients.arena === gradients.total}`;
    return this.runs.get(
      entry.name,
      inputs,
      {},
      () => ({
        inputs: {
          ...this.#teacherOutputs(index),
          [names.lossWeight]: this.#weights.place(label),
          ...(this.state.lossScale && { [names.lossScale]: this.#weights.place(names.lossScale) }),
        },
        outputs: {
          ...losses,
          ...this.outputs.get(label),
          ...gradients.outputs(entry, allWidths),
          ...this.runs.newStatistics(entry),
        },
      }),
      variant,
    );
  }

  /** What a width is taught by: predictions of its teachers from the same pass, e.g. of 1 for 0.5, as `teacher.w1.00`. */
  #teacherOutputs(index: number): Places {
    const { widths, techniques } = this.config;
    const kind = distilledPrediction(techniques.distillation);
    return Object.fromEntries(
      teachersOf(widths[index]!, this.config)
        .map(widthLabel)
        .map((label) => [`${prefixes.teacher}${label}`, this.outputs.get(label)![kind]!]),
    );
  }
}
