import type { Config } from '../../config/schema.js';
import type { Value } from '../../graph/graph.js';
import { widthLabel } from '../widthLabel.js';
import type { Forward } from '../forward.js';
import type { Declarations } from '../parameter.js';
import type { LinearInitialization } from '../slimmableLinear.js';
import type { Slicing } from '../slicing.js';

/** What stands on the encoder in training: features `[N, C_w]` -> embeddings or class scores `[N, D]`. */
export interface Head {
  forward(f: Forward, features: Value): Value;
}

/** What every head is built from. */
export interface HeadOptions {
  readonly declarations: Declarations;
  /** Of its parameters, a dotted path. */
  readonly name: string;
  /** Widths that use the head. */
  readonly widths: readonly number[];
  /** The only width of a switchable head; undefined for a head whose weights the widths share. */
  readonly own: number | undefined;
  /** Of the layers of a shared head. */
  readonly slicing: Slicing;
  /** Channels of the encoder at full width. */
  readonly channels: number;
  readonly initialization: LinearInitialization;
}

/** One slimmable head for all widths, or a head for each (docs/method.md, heads), as the config says. */
export function createHead(
  { techniques, method, widths }: Pick<Config, 'techniques' | 'method' | 'widths'>,
  place: Pick<HeadOptions, 'declarations' | 'name' | 'channels' | 'slicing'>,
  build: (options: HeadOptions) => Head,
): Head {
  const options = { ...place, initialization: method.headInitialization };
  if (techniques.head === 'slimmable') return build({ ...options, widths, own: undefined });
  const heads = new Map(
    widths.map((width) => [
      width,
      build({ ...options, name: `${place.name}.${widthLabel(width)}`, widths: [width], own: width }),
    ]),
  );
  return { forward: (f, features) => heads.get(f.width)!.forward(f, features) };
}
