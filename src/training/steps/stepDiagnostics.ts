import { averaged } from '../../diagnostics/average.js';
import { featureStatistics, type FeatureStatistics } from '../../diagnostics/featureStatistics.js';
import { queueAge } from '../../diagnostics/queueAge.js';
import type { Tensor } from '../../runtime/session.js';
import type { Diagnostics } from '../../diagnostics/measured.js';
import { MeasuredGradients } from '../measuredGradients.js';
import type { StepRunner } from './stepRunner.js';

/** For each row of a width's embeddings, `[R, D]`, the embedding that it should be close to. */
export type Positives = (label: string) => Tensor;

/** Gradients and features of one step, gathered over its passes (docs/method.md, diagnostics). */
export class StepDiagnostics {
  #gradients: MeasuredGradients;
  #features: Record<string, FeatureStatistics>[] = [];

  constructor(private readonly runner: StepRunner) {
    this.#gradients = new MeasuredGradients(runner.manifest);
  }

  begin(): void {
    this.#gradients = new MeasuredGradients(this.runner.manifest);
    this.#features = [];
  }

  /** Takes what a pass of some widths left, before their gradients are added up. */
  record(labels: readonly string[], positives: Positives | undefined): void {
    const { gradients, outputs } = this.runner;
    this.#gradients.add(gradients, labels);
    if (!positives) return;
    const features: Record<string, FeatureStatistics> = {};
    for (const label of labels) {
      const { data, dims } = outputs.get(label)!.embedding!;
      features[label] = featureStatistics(
        data as Float32Array,
        positives(label).data as Float32Array,
        dims[1]!,
      );
    }
    this.#features.push(features);
  }

  /** Of the passes of all replicas since `begin`. */
  async measured(): Promise<Diagnostics> {
    const { config, gradients, group, state } = this.runner;
    await this.#gradients.sum(group);
    const features = (await group.gather(this.#features)).flat();
    const measured = this.#gradients.diagnostics(gradients.total);
    const { queue } = state;
    const total = config.batchSize * config.accumulation;
    return {
      ...measured,
      ...(features.length > 0 && { features: averaged(features) }),
      ...(queue && { queueAge: queueAge(queue.entries[0]!.shape[0]!, total, state.step) }),
    };
  }
}
