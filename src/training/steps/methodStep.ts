import type { Config } from '../../config/schema.js';
import { runPasses } from '../../methods/index.js';
import type { Manifest } from '../../programs/manifest.js';
import type { TrainingState } from '../state.js';
import type { Step, StepInput, StepResult } from './step.js';
import { StepDiagnostics } from './stepDiagnostics.js';
import { StepRunner, type StepOptions } from './stepRunner.js';

/** The step of a config's method as one replica runs it: its passes, then the optimiser. */
export class MethodStep implements Step {
  readonly #diagnostics: StepDiagnostics;

  constructor(readonly runner: StepRunner) {
    this.#diagnostics = new StepDiagnostics(runner);
  }

  /** Opens it over the programs of a folder; it runs on the engine of the state. */
  static async open(
    folder: string,
    manifest: Manifest,
    config: Config,
    state: TrainingState,
    options: StepOptions = {},
  ): Promise<MethodStep> {
    return new MethodStep(await StepRunner.open(folder, manifest, config, state, options));
  }

  get graphs(): Step['graphs'] {
    return this.runner.graphs.byName;
  }

  get computeSeconds(): number {
    return this.runner.graphs.seconds;
  }

  async run(input: StepInput): Promise<StepResult> {
    const { runner } = this;
    const { batches, diagnose = false } = input;
    await runner.begin(input);
    if (diagnose) this.#diagnostics.begin();
    runner.onPass = diagnose ? (labels, positives) => this.#diagnostics.record(labels, positives) : null;
    await runPasses(runner.config, runner, batches);
    await runner.end();
    const diagnostics = diagnose ? await this.#diagnostics.measured() : undefined;
    const scaling = await runner.update(input);
    const losses = runner.losses.byWidth;
    return { losses, ...scaling, ...(diagnostics && !scaling.overflow && { diagnostics }) };
  }

  close(): Promise<void> {
    return this.runner.close();
  }
}
