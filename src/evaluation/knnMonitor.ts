import type { Config } from '../config/schema.js';
import { absoluteSource } from '../data/absolutePaths.js';
import { datasetNames } from '../data/dataset.js';
import { select, subset, type ImageSource } from '../data/source.js';
import { openTrainingImages } from '../data/trainingImages.js';
import { openEngine } from '../engines/openEngine.js';
import { UsageError } from '../errors.js';
import { networkOf } from '../methods/index.js';
import type { TensorData } from '../onnx/safetensors.js';
import { bindWeights } from '../programs/bindWeights.js';
import { embedProgram } from '../programs/embed.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { Monitor, MonitorOptions } from '../training/monitor.js';
import { extractFeatures, FrozenEncoder } from './features.js';
import { knnAccuracy } from './knn.js';
import { labelled, openLabelledImages, type LabelledImages, type LabelledSource } from './labelledImages.js';
import type { Accuracy } from './results.js';

/** Of a folder without held-out images, one image in so many is classified; the others are the neighbours. */
const oneInFolder = 5;

/**
 * The kNN evaluation of `evaluateKnn` for an encoder in training, on the images that `monitor` of the config names. It
 * shares no state and no randomness with training. Throws a UsageError for images without labels.
 */
export async function openKnnMonitor(config: Config, options: MonitorOptions = {}): Promise<Monitor> {
  const { monitor, runtime, widths } = config;
  if (monitor.kind !== 'knn') throw new Error(`the config has no kNN monitor but ${monitor.kind}`);
  const images = await monitorImages(config, monitor, options);
  const { train, test, classes } = images;
  const network = networkOf(config);
  const programs = widths.map((width) => embedProgram(network, config, width));
  const read = new Set(
    programs.flatMap(({ graph }) =>
      [...graph.defaults.values()].map((fallback) => (fallback.kind === 'weights' ? fallback.tensor : '')),
    ),
  );
  const engine = await openEngine(runtime);
  const settings = { k: monitor.neighbours, temperature: monitor.temperature };
  return {
    async evaluate(weights, signal) {
      const onBatch = () => signal?.throwIfAborted();
      // `data` may be a getter that changes the layout: it is asked for once.
      const known = new Map<string, TensorData>();
      for (const [name, tensor] of weights) {
        if (read.has(name)) known.set(name, { ...tensor });
      }
      // Weights become constants of the graphs, so sessions are opened anew, which costs much less than what
      // evaluation with constants saves.
      const encoders = await Promise.all(
        programs.map(({ graph }, i) =>
          FrozenEncoder.of(bindWeights(graph, known), config, widths[i]!, engine),
        ),
      );
      try {
        const bank = await extractFeatures(train, config, encoders, onBatch);
        const queries = await extractFeatures(test, config, encoders, onBatch);
        const accuracies: Record<string, Accuracy> = {};
        for (const [i, width] of widths.entries()) {
          accuracies[widthLabel(width)] = await knnAccuracy(
            { ...bank[i]!, labels: train.labels },
            { ...queries[i]!, labels: test.labels },
            classes.length,
            settings,
            engine,
            signal,
          );
        }
        return accuracies;
      } finally {
        await Promise.all(encoders.map((encoder) => encoder.close()));
      }
    },
    close: () => engine.close(),
  };
}

/** What a monitor calls its images. */
const purpose = 'the kNN monitor';

async function monitorImages(
  config: Config,
  monitor: Extract<Config['monitor'], { kind: 'knn' }>,
  options: MonitorOptions,
): Promise<LabelledImages> {
  const { data, seed } = config;
  const { trainLimit: limit, testLimit } = monitor;
  const source = monitor.source === '' ? data.source : monitor.source;
  const areOfRun = absoluteSource(source) === absoluteSource(data.source);
  const limited = (images: LabelledSource, most: number) =>
    labelled(subset(images, select(images.length, most, seed)));
  if (areOfRun && data.validation > 0) {
    const { images, ...others } = options;
    const { heldOut, ...train } = images?.heldOut ? images : await openTrainingImages(config, others);
    const [bank, queries] = [labelled(train, purpose), labelled(heldOut!, purpose)];
    return { train: limited(bank, limit), test: limited(queries, testLimit), classes: bank.classes! };
  }
  if (datasetNames.includes(source)) {
    return openLabelledImages(config, { ...options, source, limit, testLimit });
  }
  const folder = labelled(await wholeFolder(config, source, options), purpose);
  if (folder.length < oneInFolder) {
    throw new UsageError(
      `${purpose} of ${source}: ${folder.length} labelled images; accepted: at least ${oneInFolder}`,
    );
  }
  const split = (isTest: boolean, most: number) => {
    const indices = Uint32Array.from({ length: folder.length }, (_, i) => i).filter(
      (index) => (index % oneInFolder === oneInFolder - 1) === isTest,
    );
    return limited(labelled(subset(folder, indices)), most);
  };
  return { train: split(false, limit), test: split(true, testLimit), classes: folder.classes! };
}

/** All images of a folder, whether training uses them or not. */
async function wholeFolder(
  config: Config,
  source: string,
  { images, ...options }: MonitorOptions,
): Promise<ImageSource> {
  const areOfRun = absoluteSource(source) === absoluteSource(config.data.source);
  if (images && images.name === absoluteSource(source) && config.data.limit === 0) return images;
  const data = { ...config.data, limit: 0, validation: 0 };
  return openTrainingImages(
    { ...config, data },
    { ...options, labelledOnly: true, ...(!areOfRun && { source }) },
  );
}
