import { counted } from '../counted.js';
import { SlimclrError } from '../errors.js';
import { sameShape } from '../graph/graph.js';
import { formatShape } from '../onnx/model.js';
import { printable } from '../printable.js';
import type { Network } from '../programs/network.js';
import type { ResNetNames } from './resnetNames.js';
import type { WeightsFile } from './weightsFile.js';

/** Names and shapes of everything that a network has. */
export function declared({
  declarations,
}: Network): { readonly name: string; readonly shape: readonly number[] }[] {
  return [...declarations.parameters, ...declarations.statistics];
}

/** Throws a SlimclrError unless a file has every tensor of the encoder, `taken` by our names, and no others. */
export function checkEncoder(
  { tensors }: WeightsFile,
  { prefix, encoder }: ResNetNames,
  network: Network,
  taken: ReadonlyMap<string, string>,
  isIgnored: (name: string) => boolean,
): void {
  const shapes = new Map(declared(network).map(({ name, shape }) => [name, shape]));
  const missing: string[] = [];
  const wrong: string[] = [];
  for (const [name, theirs] of taken) {
    const found = tensors.get(theirs)?.shape;
    const shape = shapes.get(name)!;
    if (!found) missing.push(theirs);
    else if (!sameShape(found, shape))
      wrong.push(`${printable(theirs)} is ${formatShape(found)}, not ${formatShape(shape)}`);
  }
  const what = `not a ${encoder.name} as this package has it`;
  if (missing.length > 0) throw new SlimclrError(`${what}: it lacks ${listed(missing)}`);
  if (wrong.length > 0) throw new SlimclrError(`${what}: ${wrong.slice(0, 3).join('; ')}`);
  const known = new Set(taken.values());
  const extra = [...tensors.keys()].filter((name) => {
    const rest = name.startsWith(prefix) ? name.slice(prefix.length) : '';
    return /^(conv1|bn1|layer\d+|features)\./.test(rest) && !known.has(name) && !isIgnored(name);
  });
  if (extra.length > 0) throw new SlimclrError(`${what}: it has ${listed(extra)}, too`);
}

/** What was not taken, by modules: `module.queue`, `module.encoder_k.* (265 tensors)`, those of the encoder's own. */
export function leftOver(
  { tensors }: WeightsFile,
  prefix: string,
  isKnown: (name: string) => boolean,
): string[] {
  const groups = new Map<string, number>();
  for (const name of tensors.keys()) {
    if (isKnown(name)) continue;
    const root = name.startsWith(prefix) ? prefix : name.startsWith('module.') ? 'module.' : '';
    const group = root + name.slice(root.length).split('.', 1)[0]!;
    groups.set(group, (groups.get(group) ?? 0) + 1);
  }
  return [...groups].map(([group, count]) =>
    printable(tensors.has(group) ? group : `${group}.* (${counted(count, 'tensor')})`),
  );
}

/** Throws a SlimclrError for NaN or an infinite value. */
export function requireFinite(path: string, name: string, values: Float32Array): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at === -1) return;
  throw new SlimclrError(
    `${path}: ${printable(name)} holds ${values[at]} (element ${at}); accepted: finite numbers`,
  );
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).map(printable).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
