import type { Config } from '../config/schema.js';
import type { TrainingPlan } from './plan.js';

/**
 * When checkpoints are due (`checkpoint.everySteps`, `everyMinutes`, `everyEpochs`). One that is due by steps or minutes
 * while another is still being written waits for the first step after that, so that a step never waits for a disk; one
 * at the end of an epoch does not depend on such times.
 */
export class CheckpointPolicy {
  /** By steps or minutes, since the latest one. */
  #isDue = false;
  #latest = performance.now();

  constructor(
    private readonly config: Config['checkpoint'],
    private readonly plan: TrainingPlan,
  ) {}

  /** Whether to write one after so many steps. */
  isDue(steps: number, isWriting: boolean): boolean {
    const { everySteps, everyMinutes } = this.config;
    this.#isDue ||= everySteps > 0 && steps % everySteps === 0;
    this.#isDue ||= everyMinutes > 0 && performance.now() - this.#latest >= 60_000 * everyMinutes;
    return this.plan.savesAfter(steps) || (this.#isDue && !isWriting);
  }

  /** One was begun. */
  saved(): void {
    this.#isDue = false;
    this.#latest = performance.now();
  }
}
