import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf } from '../../../src/onnx/model.js';
import { repository } from '../../package/tarball.js';
import { trainingPython } from '../../support/pythons.js';
import type { Batch } from './ownSteps.js';

/** What steps.py finds. */
export interface PythonSteps {
  /** Names of inputs and outputs. */
  readonly names: Readonly<Record<'train' | 'eval', readonly [readonly string[], readonly string[]]>>;
  readonly properties: Readonly<Record<string, string>>;
  readonly losses: readonly number[];
  /** Of the first batch after all steps. */
  readonly loss: number;
  readonly logits: readonly number[];
  readonly exported: Readonly<{ inputs: string[]; features: number[]; logits: number[] }>;
  readonly trained: Readonly<Record<string, number[]>>;
}

/** Fine-tunes a folder of artifacts there, saving and loading again after so many steps. */
export function trainInPython(
  folder: string,
  batches: readonly Batch[],
  learningRate: number,
  saveAfter: number,
): PythonSteps {
  const images = join(folder, 'images.f32');
  writeFileSync(images, Buffer.concat(batches.map((batch) => bytesOf(batch.images))));
  const { labels, images: first } = batches[0]!;
  const size = Math.sqrt(first.length / (3 * labels.length));
  const job = {
    folder,
    images,
    shape: [3, size, size],
    labels: batches.map((batch) => batch.labels),
    learning_rate: learningRate,
    save_after: saveAfter,
  };
  const script = join(repository, 'test/export/training/steps.py');
  const { status, stdout, stderr, error } = spawnSync(trainingPython().python, [script], {
    input: JSON.stringify(job),
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw error ?? new Error(stderr);
  return JSON.parse(stdout) as PythonSteps;
}
