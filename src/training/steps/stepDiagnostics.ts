import { averaged } from '../../diagnostics/average.js';
import { featureStatistics, type FeatureStatistics } from '../../diagnostics/featureStatistics.js';
import { queueAge } from '../../diagnostics/queueAge.js';
import type { Pass } from '../../methods/step.js';
import type { Diagnostics } from '../../diagnostics/measured.js';
import { MeasuredGradients } from '../measuredGradients.js';
import type { StepRunner } from './stepRunner.js';

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
  async record(labels: readonly string[], positives: Pass['positives']): Promise<void> {
    const { runner } = this;
    await this.#gradients.add(runner.gradients, labels);
    if (!positives) return;
    const features: Record<string, FeatureStatistics> = {};
    for (const label of labels) {
      const embedding = runner.embedding(label);
      features[label] = featureStatistics(
        await runner.read(embedding),
        await positives(label),
        embedding.shape[1]!,
      );
    }
    this.#features.push(features);
  }

  /** Of the passes of all replicas since `begin`. */
  async measured(): Promise<Diagnostics> {
    const { config, group, state, total } = this.runner;
    await this.#gradients.sum(group);
    const features = (await group.gather(this.#features)).flat();
    const measured = await this.#gradients.diagnostics(total);
    const { queue } = state;
    const images = config.batchSize * config.accumulation;
    return {
      ...measured,
      ...(features.length > 0 && { features: averaged(features) }),
      ...(queue && { queueAge: queueAge(queue.entries[0]!.shape[0]!, images, state.step) }),
    };
  }
}
