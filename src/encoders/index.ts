import type { Config, EncoderName } from '../config/schema.js';
import type { Declarations } from '../nn/parameter.js';
import type { Slicing } from '../nn/slicing.js';
import type { Encoder } from './encoder.js';
import { ResNet, type ResNetOptions } from './resnet.js';

type Architecture = Pick<ResNetOptions, 'block' | 'depths' | 'channels'>;

/** CIFAR networks of He et al., 2016, section 4.2: three stages of n blocks. */
const cifar = (n: number): Architecture => ({ block: 'basic', depths: [n, n, n], channels: [16, 32, 64] });
const imagenet = (block: Architecture['block'], depths: readonly number[]): Architecture => ({
  block,
  depths,
  channels: [64, 128, 256, 512],
});

/** The registry of encoders. */
export const architectures: Readonly<Record<EncoderName, Architecture>> = {
  resnet20: cifar(3),
  resnet32: cifar(5),
  resnet44: cifar(7),
  resnet56: cifar(9),
  resnet18: imagenet('basic', [2, 2, 2, 2]),
  resnet34: imagenet('basic', [3, 4, 6, 3]),
  resnet50: imagenet('bottleneck', [3, 4, 6, 3]),
  resnet101: imagenet('bottleneck', [3, 4, 23, 3]),
};

/** Declares the parameters of an encoder under `name` and returns it. */
export function createEncoder(
  declarations: Declarations,
  name: string,
  { data, encoder, widths }: Pick<Config, 'data' | 'encoder' | 'widths'>,
  slicing: Slicing,
): Encoder {
  return new ResNet(declarations, name, {
    ...architectures[encoder.name],
    inputs: data.channels,
    stem: encoder.stem,
    zeroInitResidual: encoder.zeroInitResidual,
    widths,
    slicing,
  });
}
