import { sameShape } from '../graph/graph.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { TensorData } from '../onnx/safetensors.js';
import type { Config } from '../config/schema.js';
import type { Network } from '../programs/network.js';
import { declared } from './checks.js';

type Tensors = ReadonlyMap<string, TensorData>;

/** Tensors for a network out of those of another one, or of one with fewer widths. */
export interface Carried {
  readonly tensors: Map<string, TensorData>;
  /** Labels of the widths whose batch norm is that of a wider one, cut to their channels. */
  readonly derived: readonly string[];
  /** Names of the network's tensors that there is nothing for, or of another shape. */
  readonly absent: readonly string[];
}

const norm = /^(.+)\.(w[\d.]+)\.(gamma|beta|running_mean|running_var)$/;

/**
 * What a network takes of given tensors, by name where the shapes agree. The batch norm of a width that they lack is
 * that of the next wider one they have, cut to the channels that the width uses.
 */
export function carried(
  network: Network,
  { widths, techniques }: Pick<Config, 'widths' | 'techniques'>,
  given: Tensors,
): Carried {
  const tensors = new Map<string, TensorData>();
  const derived = new Set<string>();
  const absent: string[] = [];
  const normWidths = widthsOfNorms(given);
  for (const { name, shape } of declared(network)) {
    const own = given.get(name);
    const [, path = '', label = '', kind = ''] = norm.exec(name) ?? [];
    if (own && sameShape(own.shape, shape)) {
      tensors.set(name, own);
      continue;
    }
    const width = widths.find((other) => widthLabel(other) === label);
    const cut = !own && width !== undefined ? fromWider(path, kind, width, shape[0]!) : null;
    if (!cut) absent.push(name);
    else {
      tensors.set(name, cut);
      derived.add(label);
    }
  }
  return { tensors, derived: [...derived], absent };

  function fromWider(path: string, kind: string, width: number, count: number): TensorData | null {
    // Of weights that widths do not share, only the full width has the channels of a narrower one.
    const wider = (normWidths.get(`${path} ${kind}`) ?? []).filter(
      (other) => other > width && (techniques.weights === 'overlapping' || other === 1),
    );
    const source = wider.at(-1);
    if (source === undefined) return null;
    const { data } = given.get(`${path}.${widthLabel(source)}.${kind}`)!;
    const start = data.length === count ? 0 : network.slicing(data.length, width).start;
    if (start + count > data.length) return null;
    return { dtype: 'float32', shape: [count], data: (data as Float32Array).slice(start, start + count) };
  }
}

/** By layer and tensor the widths that there is a batch norm of, wide first. */
function widthsOfNorms(given: Tensors): ReadonlyMap<string, readonly number[]> {
  const widths = new Map<string, number[]>();
  for (const name of given.keys()) {
    const [, path, label, kind] = norm.exec(name) ?? [];
    if (path === undefined) continue;
    const key = `${path} ${kind}`;
    widths.set(
      key,
      [...(widths.get(key) ?? []), Number(label!.slice(1))].sort((a, b) => b - a),
    );
  }
  return widths;
}
