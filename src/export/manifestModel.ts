import { cpus } from 'node:os';
import { threadCount } from '../engines/engineOptions.js';
import { widthLabel } from '../nn/widthLabel.js';
import { sha256 } from '../onnx/hash.js';
import { decodeModel, type NamedType } from '../onnx/model.js';
import type { ExportJob, MadeModel } from './exportJob.js';
import type { ManifestModel } from './manifest.js';
import { preprocessingOf } from './preprocessing.js';

/** What a manifest tells of a model that was made and timed on this machine. */
export function manifestModel(
  { subject: { config, checkpoint, form }, probe }: Pick<ExportJob, 'subject' | 'probe'>,
  width: number,
  file: string,
  { bytes, externalData, parameters, multiplyAdds, maxRelativeError, latency }: MadeModel,
  accuracy: ManifestModel['accuracy'],
): ManifestModel {
  const { inputs, outputs, opsets, irVersion } = decodeModel(bytes);
  const { precision, input, resize, batch, outputs: maps, size, head, classifier } = form;
  const { provider } = config.runtime;
  const where = { provider, threads: threadCount(config.runtime), machine: machine() };
  return {
    file,
    bytes: bytes.length,
    sha256: sha256(bytes),
    externalData: externalData && {
      file: externalData.file,
      bytes: externalData.bytes.length,
      sha256: sha256(externalData.bytes),
    },
    encoder: config.encoder.name,
    method: config.method.kind,
    checkpoint,
    width,
    label: widthLabel(width),
    ...{ precision, input, resize, batch, size, head, classifier },
    maps: [...maps],
    classes: probe?.classes ?? null,
    opset: opsets['']!,
    irVersion,
    inputs: inputs.map(described),
    outputs: outputs.map(described),
    preprocessing: preprocessingOf(config.data, form),
    parameters,
    multiplyAdds,
    latency: { milliseconds: latency, batch: form.batch ?? 1, ...where },
    accuracy,
    maxRelativeError,
  };
}

function described({ name, type: { dtype, shape } }: NamedType): ManifestModel['inputs'][number] {
  return { name, dtype, shape: [...shape] };
}

/** The name of this machine's processor. */
export function machine(): string {
  return cpus()[0]?.model.trim() || 'unknown';
}
