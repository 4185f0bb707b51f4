import { createHash } from 'node:crypto';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { SlimclrError, UsageError } from '../errors.js';
import { existsSync } from 'node:fs';
import { bytesOf } from '../onnx/model.js';
import { readSafetensors, writeSafetensors, type TensorData } from '../onnx/safetensors.js';
import type { LinearClassifier } from './linearClassifier.js';
import { keep, type Notices } from '../keep.js';
import { checkJson, parseJson, sha256Schema } from '../readJson.js';
import { replaceFile } from '../replaceFile.js';
import { probeName } from './resultFiles.js';
import type { ProbeProtocol } from './results.js';

/** The linear probe's classifiers of one checkpoint, beside the probe's result in a run folder. */
export interface ProbeClassifiers {
  /** SHA-256 of the checkpoint whose features they classify. */
  readonly checkpoint: string;
  /** Class names, in the order of the scores. */
  readonly classes: readonly string[];
  /** By width label. */
  readonly classifiers: ReadonlyMap<string, LinearClassifier>;
}

const metadataSchema = z.object({
  checkpoint: sha256Schema,
  classes: z.string(),
  /** SHA-256 of all that the file holds else; those of earlier versions have none. */
  content: sha256Schema.optional(),
});

/** Of classes, names and numbers, in the order of the file. */
function contentHash(classes: string, tensors: ReadonlyMap<string, TensorData>): string {
  const hash = createHash('sha256').update(classes);
  for (const [name, { shape, data }] of tensors) {
    hash.update(`\n${name} ${shape.join(' ')}\n`).update(bytesOf(data));
  }
  return hash.digest('hex');
}

function pathIn(runFolder: string, protocol: ProbeProtocol): string {
  return join(runFolder, 'results', `${probeName(protocol)}.safetensors`);
}

/** Writes the classifiers of a probe; a notice where that fails. */
export async function writeClassifiers(
  runFolder: string,
  protocol: ProbeProtocol,
  { checkpoint, classes, classifiers }: ProbeClassifiers,
  notices: Notices,
): Promise<void> {
  const tensors = new Map<string, TensorData>();
  for (const [label, { channels, weight, bias }] of classifiers) {
    tensors.set(`${label}.weight`, { dtype: 'float32', shape: [classes.length, channels], data: weight });
    tensors.set(`${label}.bias`, { dtype: 'float32', shape: [classes.length], data: bias });
  }
  const names = JSON.stringify(classes);
  const metadata = { checkpoint, classes: names, content: contentHash(names, tensors) };
  const path = pathIn(runFolder, protocol);
  const write = (partial: string) => writeSafetensors(partial, tensors, metadata);
  await keep(relative(runFolder, path), () => replaceFile(path, write), notices);
}

/** Throws a UsageError when the run has no probe, a SlimclrError when the file is damaged. */
export async function readClassifiers(
  runFolder: string,
  protocol: ProbeProtocol = 'features',
): Promise<ProbeClassifiers> {
  const path = pathIn(runFolder, protocol);
  if (!existsSync(path)) {
    throw new UsageError(`${runFolder}: no linear probe (${path}); accepted: a run whose probe was trained`);
  }
  const { metadata, tensors } = await readSafetensors(path);
  const { checkpoint, classes, content } = checkJson(metadata, metadataSchema, path);
  if (content !== undefined && content !== contentHash(classes, tensors)) {
    throw new SlimclrError(
      `${path} is damaged: its SHA-256 is not the recorded one; \`slimclr probe\` writes it anew`,
    );
  }
  const names = parseJson(classes, z.array(z.string()), `${path}: classes`);
  const classifiers = new Map<string, LinearClassifier>();
  for (const [name, { shape, data }] of tensors) {
    if (!name.endsWith('.weight')) continue;
    const label = name.slice(0, -'.weight'.length);
    const bias = tensors.get(`${label}.bias`)?.data;
    const [classes, channels] = shape;
    if (
      !(data instanceof Float32Array && bias instanceof Float32Array) ||
      !(shape.length === 2 && classes === names.length && bias.length === classes)
    ) {
      throw new SlimclrError(
        `${path}: ${label} has no float32 weight [${names.length}, channels] and bias [${names.length}]`,
      );
    }
    classifiers.set(label, { classes: names.length, channels: channels!, weight: data, bias });
  }
  return { checkpoint, classes: names, classifiers };
}
