import { UsageError } from '../errors.js';
import { widthLabel } from '../nn/widthLabel.js';
import { writeClassifiers } from './classifiers.js';
import {
  withEvaluation,
  subject,
  widthAccuracies,
  type Evaluation,
  type EvaluationOptions,
} from './evaluation.js';
import { extractFeatures, FrozenEncoder, type Features } from './features.js';
import { classifierAccuracies, type LinearClassifier } from './linearClassifier.js';
import { checkProbeSettings, requireFinite, trainLayers, trainProbe, type ProbeSettings } from './probe.js';
import { AugmentedBatches } from './probeBatches.js';
import { SwitchableLayers } from './probeLayers.js';
import { writeResult } from './resultFiles.js';
import { probeProtocols, type Accuracy, type ProbeProtocol, type ProbeResult } from './results.js';
import { ridgeLambdas, solveRidge } from './ridge.js';
import {
  encoderFeatures,
  progressOf,
  randomEncoder,
  report,
  trainedEncoder,
  type EncoderSetup,
  type Watch,
} from './runFeatures.js';

/** `protocol` is `features` unless given, `seed` the run's. The `ridge` protocol takes the seed only. */
export type ProbeOptions = EvaluationOptions & Partial<ProbeSettings> & { readonly protocol?: ProbeProtocol };

export const defaultProbeSettings = {
  epochs: 100,
  batchSize: 256,
  /** On standardised features. */
  learningRate: 10,
  /** Of the `augmented` protocol, at a batch of 1024 images: MoCo v2's, in proportion to the batch. */
  augmentedRate: 60,
} as const;

interface Probed {
  readonly classifiers: readonly LinearClassifier[];
  readonly accuracies: readonly Accuracy[];
  /** Of the ridge protocol. */
  readonly lambdas: readonly number[];
}

type Probe = (
  evaluation: Evaluation,
  encoder: EncoderSetup,
  settings: ProbeSettings,
  watch: Watch,
) => Promise<Probed>;

/** The protocols by name (docs/method.md, evaluation). */
const probes: Readonly<Record<ProbeProtocol, Probe>> = {
  features: (...args) => probeFeatures('switchable', ...args),
  shared: (...args) => probeFeatures('shared', ...args),
  ridge: probeRidge,
  augmented: probeAugmented,
};

/**
 * Accuracy of a linear probe on a run's frozen encoder, into `results/probe.json` of its folder, or
 * `probe-<protocol>.json`; the trained encoder's classifiers go into the `.safetensors` file beside it. Errors are
 * those of `evaluateKnn`.
 */
export async function evaluateProbe(runFolder: string, options: ProbeOptions = {}): Promise<ProbeResult> {
  const started = performance.now();
  const { protocol = 'features', baseline = false } = options;
  checkOptions(protocol, options);
  return withEvaluation(runFolder, options, async (evaluation) => {
    const { run, images, engine } = evaluation;
    const { widths, seed } = run.config;
    const batchSize = Math.min(options.batchSize ?? defaultProbeSettings.batchSize, images.train.length);
    const settings: ProbeSettings = {
      epochs: options.epochs ?? defaultProbeSettings.epochs,
      learningRate: options.learningRate ?? defaultRate(protocol, batchSize),
      batchSize,
      seed: options.seed ?? seed,
    };
    checkProbeSettings(settings);
    const probed = (encoder: EncoderSetup) => probes[protocol](evaluation, encoder, settings, options);
    const trained = await probed(trainedEncoder(run));
    const random = baseline ? await probed(randomEncoder(run, images, options, engine)) : null;
    const classifiers = {
      checkpoint: run.sha256,
      classes: images.classes,
      classifiers: new Map(trained.classifiers.map((classifier, i) => [widthLabel(widths[i]!), classifier])),
    };
    await writeClassifiers(runFolder, protocol, classifiers, options);
    const { epochs, learningRate } = settings;
    const result: ProbeResult = {
      kind: 'probe',
      ...(protocol === 'ridge'
        ? { protocol, lambdas: trained.lambdas }
        : { protocol, epochs, learningRate, batchSize }),
      ...subject(evaluation),
      seconds: (performance.now() - started) / 1000,
      widths: widthAccuracies(widths, trained.accuracies, random?.accuracies ?? null),
    };
    await writeResult(runFolder, result, options);
    return result;
  });
}

function checkOptions(protocol: ProbeProtocol, options: ProbeOptions): void {
  if (!probeProtocols.includes(protocol)) {
    throw new UsageError(`unknown protocol '${String(protocol)}'; accepted: ${probeProtocols.join(', ')}`);
  }
  if (protocol !== 'ridge') return;
  const foreign = (['epochs', 'learningRate', 'batchSize'] as const).find(
    (key) => options[key] !== undefined,
  );
  if (foreign) throw new UsageError(`the ridge protocol is solved in one go: it takes no ${foreign}`);
}

function defaultRate(protocol: ProbeProtocol, batchSize: number): number {
  const { learningRate, augmentedRate } = defaultProbeSettings;
  return protocol === 'augmented' ? (augmentedRate * batchSize) / 1024 : learningRate;
}

/** Trains on the features of the training images, scores those of the test images. */
async function probeFeatures(
  layer: 'switchable' | 'shared',
  evaluation: Evaluation,
  encoder: EncoderSetup,
  settings: ProbeSettings,
  watch: Watch,
): Promise<Probed> {
  const { run, images, engine } = evaluation;
  const { network, config } = run;
  const { widths } = config;
  const features = await encoderFeatures(evaluation, encoder, watch);
  const training = {
    widths: features.map((split, i) => {
      const width = widths[i]!;
      return { ...split.train, width, start: network.slicing(network.encoder.channels, width).start };
    }),
    labels: images.train.labels,
    classes: images.classes.length,
  };
  const onEpoch = progressOf(watch, `linear probe, ${encoder.kind} encoder, epochs`, settings.epochs);
  const classifiers = await trainProbe(layer, training, settings, engine, onEpoch);
  return scored(classifiers, features.map(({ test }) => test), evaluation); // prettier-ignore
}

async function probeRidge(
  evaluation: Evaluation,
  encoder: EncoderSetup,
  { seed }: ProbeSettings,
  watch: Watch,
): Promise<Probed> {
  const { run, images, engine } = evaluation;
  const { widths } = run.config;
  const { train, classes } = images;
  const features = await encoderFeatures(evaluation, encoder, watch);
  const classifiers: LinearClassifier[] = [];
  const lambdas: number[] = [];
  for (const [i, split] of features.entries()) {
    report(watch, `ridge regression, ${encoder.kind} encoder, ${widthLabel(widths[i]!)}`);
    const labelled = { ...split.train, labels: train.labels };
    const settings = { seed, lambdas: ridgeLambdas };
    const { classifier, lambda } = await solveRidge(labelled, classes.length, settings, engine);
    classifiers.push(classifier);
    lambdas.push(lambda);
  }
  return { ...(await scored(classifiers, features.map(({ test }) => test), evaluation)), lambdas }; // prettier-ignore
}

/**
 * The paper's protocol: features of other views in every epoch, as they are, and a rate that falls to a tenth at 60 %
 * and at 80 % of the epochs.
 */
async function probeAugmented(
  evaluation: Evaluation,
  encoder: EncoderSetup,
  settings: ProbeSettings,
  watch: Watch,
): Promise<Probed> {
  const { epochs, learningRate, batchSize, seed } = settings;
  const { run, images, engine } = evaluation;
  const { config, network } = run;
  const { widths } = config;
  const weights = await encoder.prepare(widths);
  const encoders = await Promise.all(
    widths.map((width) => FrozenEncoder.open(network, config, width, weights, engine)),
  );
  const batches = new AugmentedBatches(images.train, config, encoders, batchSize, seed);
  try {
    const shape = {
      widths: encoders.map(({ channels }, i) => ({ width: widths[i]!, channels })),
      classes: images.classes.length,
      batchSize,
    };
    const falls = [0.6, 0.8].map((share) => Math.round(share * epochs));
    const schedule = {
      kind: 'step',
      peak: learningRate,
      warmup: 0,
      warmupFrom: 0,
      epochs: falls,
      factor: 0.1,
    } as const;
    const layers = await SwitchableLayers.open(shape, engine);
    const onEpoch = progressOf(watch, `linear probe, ${encoder.kind} encoder, epochs`, epochs);
    const classifiers = requireFinite(
      await trainLayers(layers, batches, epochs, schedule, onEpoch),
      settings,
    );
    return await scored(classifiers, await extractFeatures(images.test, config, encoders), evaluation);
  } finally {
    await Promise.all([batches.close(), ...encoders.map((frozen) => frozen.close())]);
  }
}

async function scored(
  classifiers: readonly LinearClassifier[],
  features: readonly Features[],
  { images, engine }: Evaluation,
): Promise<Probed> {
  const accuracies = await classifierAccuracies(classifiers, features, images.test.labels, engine);
  return { classifiers, accuracies, lambdas: [] };
}
