import type { Config } from '../config/schema.js';
import { createEncoder } from '../encoders/index.js';
import type { Encoder } from '../encoders/encoder.js';
import { createHead, type Head, type HeadOptions } from '../nn/heads/head.js';
import { Declarations } from '../nn/parameter.js';
import { slicingOf, type Slicing } from '../nn/slicing.js';

/** What a method trains: a slimmable encoder and the heads on it. The key network has the same declarations. */
export interface Network {
  readonly declarations: Declarations;
  /** Which channels a width uses of the layers that widths share. */
  readonly slicing: Slicing;
  readonly encoder: Encoder;
  /** From features to what the loss sees. */
  readonly head: Head;
  /** The same for the key network, which may lack a part of it. */
  readonly keyHead: Head;
}

/** Declares heads one after the other: `add('head', build)`. */
export type AddHead = (name: string, build: (options: HeadOptions) => Head) => Head;

/** The encoder of a config with a method's heads. */
export function createNetwork(
  config: Pick<Config, 'data' | 'encoder' | 'widths' | 'method' | 'techniques'>,
  heads: (add: AddHead) => Pick<Network, 'head' | 'keyHead'>,
): Network {
  const declarations = new Declarations();
  const slicing = slicingOf(config);
  const encoder = createEncoder(declarations, 'encoder', config, slicing);
  const { channels } = encoder;
  const add: AddHead = (name, build) => createHead(config, { declarations, name, channels, slicing }, build);
  return { declarations, slicing, encoder, ...heads(add) };
}
