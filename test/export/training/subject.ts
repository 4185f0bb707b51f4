import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfigInput } from '../../../src/config/schema.js';
import {
  trainingArtifacts,
  type TrainingArtifacts,
  type TrainingSubject,
} from '../../../src/export/training/artifacts.js';
import type { TrainableLayers } from '../../../src/export/training/trainableLayers.js';
import { networkOf } from '../../../src/methods/index.js';
import type { Weights } from '../../../src/programs/bindWeights.js';
import type { Network } from '../../../src/programs/network.js';
import { Random } from '../../../src/random.js';
import { tinyConfig, trainedWeights } from '../../evaluation/tinyRun.js';
import { normal } from '../../support/samples.js';
import type { Batch } from './ownSteps.js';

const classNames = ['cat', 'dog', 'fox'];
const classes = classNames.length;

/** An encoder with weights as training could leave them, and a classifier that is not 0. */
export function subjectOf(
  width: number,
  trainable: TrainableLayers,
  input: ConfigInput = {},
  weightsOf: (network: Network) => Weights = trainedWeights,
): TrainingSubject {
  const config = tinyConfig(input);
  const network = networkOf(config);
  const channels = Math.floor(network.encoder.channels * width);
  const random = new Random(5);
  const weight = Float32Array.from({ length: classes * channels }, () => random.uniform(-0.1, 0.1));
  return {
    network,
    config,
    weights: weightsOf(network),
    checkpoint: 'c0ffee',
    width,
    classifier: { classes, channels, weight, bias: Float32Array.of(0.1, 0, -0.1) },
    classNames,
    trainable,
  };
}

/** Batches of these sizes. */
export function batchesOf({ config }: TrainingSubject, ...sizes: readonly number[]): Batch[] {
  const random = new Random(7);
  return sizes.map((size) => ({
    images: Float32Array.from(normal(random, size * 3 * config.data.imageSize ** 2)),
    labels: Array.from({ length: size }, () => random.integer(classes)),
  }));
}

/** The artifacts, also as files of a new folder. */
export function writtenArtifacts(subject: TrainingSubject): TrainingArtifacts & { readonly folder: string } {
  const artifacts = trainingArtifacts(subject, true);
  const folder = mkdtempSync(join(tmpdir(), 'slimclr-artifacts-'));
  for (const [name, bytes] of Object.entries(artifacts.files)) writeFileSync(join(folder, name), bytes);
  return { ...artifacts, folder };
}
