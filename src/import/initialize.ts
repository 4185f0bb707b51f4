import type { Config } from '../config/schema.js';
import { UsageError } from '../errors.js';
import { networkOf } from '../methods/index.js';
import type { InitialWeights } from '../training/prepareRun.js';
import { carried } from './carry.js';
import { declared } from './checks.js';
import { readModel } from './readModel.js';

/**
 * Reads the weights that `config.init` names, if any, those that fit: the encoder, and of the head each part that fits whole.
 * Widths, method and image size may be others. Throws a UsageError for another encoder and for another file than that
 * of the config's SHA-256, and what `readModel` throws.
 */
export async function initialize(config: Config): Promise<InitialWeights> {
  const { file, sha256 } = config.init;
  if (file === '') return { weights: new Map(), config, line: null };
  const model = await readModel(file);
  const { path } = model;
  if (sha256 !== '' && sha256 !== model.sha256) {
    throw new UsageError(
      `init.file ${path} is another file than that of init.sha256 (${model.sha256.slice(0, 12)}..., not ` +
        `${sha256.slice(0, 12)}...); accepted: that file, or init.sha256 left empty`,
    );
  }
  const theirs = model.config;
  if (theirs.encoder.name !== config.encoder.name) {
    throw new UsageError(
      `init.file ${path} is a ${theirs.encoder.name}, and encoder.name is "${config.encoder.name}"; ` +
        `accepted: "${theirs.encoder.name}"`,
    );
  }
  if (theirs.techniques.weights !== config.techniques.weights) {
    throw new UsageError(
      `init.file ${path} has techniques.weights "${theirs.techniques.weights}"; accepted: the same`,
    );
  }
  const network = networkOf(config);
  const { tensors, derived, absent } = carried(network, config, model.tensors);
  const drawn = new Set(absent.map(part));
  const weights = new Map([...tensors].filter(([name]) => isEncoder(name) || !drawn.has(part(name))));
  const heads = new Set([...weights.keys()].filter((name) => !isEncoder(name)).map(part));
  const known = new Set(declared(network).map(({ name }) => name));
  const untaken = [...model.tensors.keys()].filter((name) => !weights.has(name));
  const left = new Set(
    untaken.map((name) => (isEncoder(name) && !known.has(name) ? label(name) : part(name))),
  );
  const parts = [
    `${weights.size} tensors taken (encoder${[...heads].map((head) => `, ${head}`).join('')})`,
    ...(derived.length > 0 ? [`batch norm of ${derived.join(', ')} from that of wider ones`] : []),
    ...(drawn.size > 0 ? [`drawn: ${[...drawn].join(', ')}`] : []),
    ...(left.size + model.left.length > 0 ? [`left out: ${[...left, ...model.left].join(', ')}`] : []),
  ];
  return {
    weights,
    config: { ...config, init: { file: path, sha256: model.sha256 } },
    line: `${path}: ${parts.join('; ')}`,
  };
}

function isEncoder(name: string): boolean {
  return name.startsWith('encoder.');
}

/** What is named in a line: a tensor of the encoder, or of a head the part that a network takes whole: `head`, `projector`. */
function part(name: string): string {
  return isEncoder(name) ? name : name.split('.', 1)[0]!;
}

/** Of a batch norm that a network has not: the label of its width, in the place of its tensors. */
function label(name: string): string {
  return /\.(w[\d.]+)\.\w+$/.exec(name)?.[1] ?? name;
}
