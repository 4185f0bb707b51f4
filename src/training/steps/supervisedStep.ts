import { Tensor as OrtTensor } from 'onnxruntime-node';
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
        labels: new OrtTensor('int64', classes, [classes.length]),
      };
      await this.pass(input, { gradient: share, loss: share }, () => feeds);
    }
  }
}
