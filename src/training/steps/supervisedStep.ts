import { newTensor } from '../../runtime/onnxRuntime.js';
import { MethodStep } from './methodStep.js';
import type { StepInput } from './step.js';

/** Supervised slimmable training. */
export class SupervisedStep extends MethodStep {
  protected async passes(input: StepInput): Promise<void> {
    const { runner } = this;
    const { share } = runner;
    for (const batch of input.batches) {
      const classes = BigInt64Array.from(batch.labels!, BigInt);
      const feeds = {
        images: runner.view(batch, 0),
        labels: newTensor('int64', classes, [classes.length]),
      };
      await this.pass(input, { gradient: share, loss: share }, () => feeds);
    }
  }
}
