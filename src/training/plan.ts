import type { Config } from '../config/schema.js';
import { slimStartEpoch } from '../config/techniques.js';
import { learningRate } from '../optimizers/schedule.js';
import type { StepCounts } from './steps/step.js';

/** What a step of a training is, by its number: from 0 over all epochs. */
export interface PlannedStep {
  readonly epoch: number;
  readonly learningRate: number;
  /** False during the slow start. */
  readonly allWidths: boolean;
  readonly counts: StepCounts;
  /** Whether gradients and features are measured. */
  readonly diagnose: boolean;
  /** Number within the epoch of the first of the batches that it accumulates. */
  readonly firstBatch: number;
}

/** Which steps a training consists of, and after which of them something is due. */
export class TrainingPlan {
  readonly stepsPerEpoch: number;
  /** Steps of the whole training. */
  readonly total: number;
  readonly #slimStart: number;

  /** `batchesPerEpoch`: whole batches that the images of an epoch fill. */
  constructor(
    private readonly config: Config,
    batchesPerEpoch: number,
  ) {
    this.stepsPerEpoch = Math.floor(batchesPerEpoch / config.accumulation);
    this.total = config.epochs * this.stepsPerEpoch;
    this.#slimStart = slimStartEpoch(config.techniques.slowStart) * this.stepsPerEpoch;
  }

  step(index: number): PlannedStep {
    const { accumulation, continued, diagnostics, schedule, techniques } = this.config;
    const { stepsPerEpoch, total } = this;
    return {
      epoch: Math.floor(index / stepsPerEpoch),
      learningRate: learningRate(
        schedule,
        techniques.slowStart,
        { step: index, steps: total, stepsPerEpoch },
        continued,
      ),
      allWidths: index >= this.#slimStart,
      counts: { all: index, narrow: Math.max(index - this.#slimStart, 0), total },
      diagnose: diagnostics.everySteps > 0 && index % diagnostics.everySteps === 0,
      firstBatch: (index % stepsPerEpoch) * accumulation,
    };
  }

  /** Epochs completed after so many steps. */
  epochsAfter(steps: number): number {
    return Math.floor(steps / this.stepsPerEpoch);
  }

  /** Whether a checkpoint is due after so many steps because an epoch ends, or training. */
  savesAfter(steps: number): boolean {
    return this.#isDue(steps, this.config.checkpoint.everyEpochs);
  }

  /** Whether the monitor, where there is one, is due after so many steps. */
  measuresAfter(steps: number): boolean {
    const { monitor } = this.config;
    return monitor.kind !== 'none' && this.#isDue(steps, monitor.everyEpochs);
  }

  /** At the end of every so many epochs, and at the end of training. */
  #isDue(steps: number, everyEpochs: number): boolean {
    if (steps === 0 || steps % this.stepsPerEpoch !== 0) return false;
    if (steps === this.total) return true;
    return everyEpochs > 0 && this.epochsAfter(steps) % everyEpochs === 0;
  }
}
