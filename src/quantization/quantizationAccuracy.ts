import type { Config } from '../config/schema.js';
import type { Engine } from '../engines/engine.js';
import { UsageError } from '../errors.js';
import type { ProbeClassifiers } from '../evaluation/classifiers.js';
import { FeatureCache } from '../evaluation/featureCache.js';
import { extractFeatures, FrozenEncoder } from '../evaluation/features.js';
import { knnAccuracy } from '../evaluation/knn.js';
import { defaultKnnSettings } from '../evaluation/knnSettings.js';
import {
  openLabelledImages,
  type LabelledImages,
  type LabelledImagesOptions,
} from '../evaluation/labelledImages.js';
import { classifierAccuracies } from '../evaluation/linearClassifier.js';
import type { Accuracy } from '../evaluation/results.js';
import {
  encoderFeatures,
  progressOf,
  trainedEncoder,
  type SplitFeatures,
  type Watch,
} from '../evaluation/runFeatures.js';
import type { TrainedRun } from '../evaluation/trainedRun.js';
import type { Graph } from '../graph/graph.js';
import { widthLabel } from '../nn/widthLabel.js';
import { featuresGraph } from './featuresGraph.js';

/** What features are worth; null: not measured. */
export interface FeatureAccuracy {
  readonly knn: Accuracy | null;
  /** Of the run's linear probe, trained on the features of the run. */
  readonly probe: Accuracy | null;
}

/** Measures the features that inference graphs of a run make of labelled images: training images vote for test images. */
export class QuantizationAccuracy {
  readonly #float = new Map<number, SplitFeatures>();

  private constructor(
    readonly images: LabelledImages,
    private readonly run: TrainedRun,
    private readonly probe: ProbeClassifiers | null,
    private readonly engine: Engine,
    private readonly watch: Watch,
  ) {}

  /**
   * Null where there are no labelled training and test images, with a notice of the reason: nothing is measured then.
   * `config` may have images of another size than the run.
   */
  static async open(
    run: TrainedRun,
    config: Config,
    probe: ProbeClassifiers | null,
    engine: Engine,
    options: LabelledImagesOptions & Watch,
  ): Promise<QuantizationAccuracy | null> {
    try {
      const images = await openLabelledImages(config, options);
      return new QuantizationAccuracy(images, { ...run, config }, probe, engine, options);
    } catch (error) {
      if (
        !(error instanceof UsageError) ||
        options.source !== undefined ||
        options.testSource !== undefined ||
        options.heldOut
      ) {
        throw error;
      }
      options.onNotice?.(`the accuracy is not measured: ${error.message}`);
      return null;
    }
  }

  /** What it measures on, and with. */
  get test() {
    const { train, test, heldOut } = this.images;
    const { k, temperature } = defaultKnnSettings;
    return {
      source: test.name,
      images: test.length,
      ...(heldOut && { heldOut }),
      k: Math.min(k, train.length),
      temperature,
    };
  }

  /** Of the run's encoder itself. */
  async before(width: number): Promise<FeatureAccuracy> {
    let features = this.#float.get(width);
    if (!features) {
      const { run, images, engine } = this;
      const ofWidth = { ...run, config: { ...run.config, widths: [width] } };
      const cache = new FeatureCache(run.folder, this.watch);
      const evaluation = { run: ofWidth, images, cache, engine };
      [features] = await encoderFeatures(evaluation, trainedEncoder(run), this.watch);
      this.#float.set(width, features!);
    }
    return this.#measure(width, features!);
  }

  /** Of an inference graph with bound weights, for any number of images. */
  async of(graph: Graph, width: number): Promise<FeatureAccuracy> {
    const { images, engine, watch } = this;
    const { config } = this.run;
    const encoder = await FrozenEncoder.of(featuresGraph(graph), config, width, engine);
    try {
      const features = async (split: 'train' | 'test') => {
        const onBatch = progressOf(watch, `${widthLabel(width)}: features of ${split} images`, images[split].length); // prettier-ignore
        return (await extractFeatures(images[split], config, [encoder], onBatch))[0]!;
      };
      return await this.#measure(width, { train: await features('train'), test: await features('test') });
    } finally {
      await encoder.close();
    }
  }

  async #measure(width: number, { train, test }: SplitFeatures): Promise<FeatureAccuracy> {
    const { images, engine, probe, watch } = this;
    const [bank, queries] = [
      { ...train, labels: images.train.labels },
      { ...test, labels: images.test.labels },
    ];
    const classifier = this.#fits(probe) ? probe?.classifiers.get(widthLabel(width)) : undefined;
    return {
      knn: await knnAccuracy(bank, queries, images.classes.length, defaultKnnSettings, engine, watch.signal),
      probe: classifier
        ? (await classifierAccuracies([classifier], [test], images.test.labels, engine))[0]!
        : null,
    };
  }

  /** Whether a probe tells the classes of these images apart. */
  #fits(probe: ProbeClassifiers | null): boolean {
    return probe?.classes.join('\0') === this.images.classes.join('\0');
  }
}
