import type { Step, StepInput, StepResult } from './step.js';
import type { PassWeights, StepRunner } from './stepRunner.js';
import { StepDiagnostics, type Positives } from './stepDiagnostics.js';

/** What every method's step does: its passes, then the optimiser. */
export abstract class MethodStep implements Step {
  readonly #diagnostics: StepDiagnostics;

  constructor(protected readonly runner: StepRunner) {
    this.#diagnostics = new StepDiagnostics(runner);
  }

  get sessions(): Step['sessions'] {
    return this.runner.sessions;
  }

  get computeSeconds(): number {
    return this.runner.computeSeconds;
  }

  /** The forward and backward passes of a step. */
  protected abstract passes(input: StepInput): Promise<void>;

  /** What else changes in the state when the parameters do. */
  protected async finish(): Promise<void> {}

  async run(input: StepInput): Promise<StepResult> {
    const { runner } = this;
    const { diagnose = false, update = true } = input;
    runner.begin();
    if (diagnose) this.#diagnostics.begin();
    await this.passes(input);
    await runner.end();
    const diagnostics = diagnose ? await this.#diagnostics.measured() : undefined;
    if (update) {
      // The queue takes its keys at the step that they are of.
      await this.finish();
      await runner.update(input);
    }
    return { losses: runner.losses, ...(diagnostics && { diagnostics }) };
  }

  close(): Promise<void> {
    return this.runner.close();
  }

  /** A pass of the runner, measured where the step is diagnosed. */
  protected async pass(
    input: StepInput,
    weights: PassWeights,
    feeds: Parameters<StepRunner['pass']>[2],
    positives?: Positives,
  ): Promise<void> {
    const { allWidths, diagnose = false } = input;
    await this.runner.pass(
      allWidths,
      weights,
      feeds,
      diagnose ? (labels) => this.#diagnostics.record(labels, positives) : undefined,
    );
  }
}
