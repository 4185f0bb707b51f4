import type { Config } from '../config/schema.js';
import { createEncoder } from '../encoders/index.js';
import type { Encoder } from '../encoders/encoder.js';
import { MocoHead } from '../nn/mocoHead.js';
import { Declarations } from '../nn/parameter.js';

/** What MoCo v2 trains: a slimmable encoder and its head. The key network has the same declarations. */
export class Network {
  readonly declarations = new Declarations();
  readonly encoder: Encoder;
  readonly head: MocoHead;

  constructor(config: Pick<Config, 'encoder' | 'widths' | 'method'>) {
    this.encoder = createEncoder(this.declarations, 'encoder', config);
    const { dimension, headInitialization } = config.method;
    this.head = new MocoHead(this.declarations, 'head', this.encoder.channels, dimension, headInitialization);
  }
}
