import type { Value } from '../graph/graph.js';
import type { Forward } from '../nn/forward.js';
import type { Declarations } from '../nn/parameter.js';
import type { Slicing } from '../nn/slicing.js';
import { SlimmableConv2d, type ConvOptions } from '../nn/slimmableConv2d.js';
import { SwitchableBatchNorm } from '../nn/switchableBatchNorm.js';
import type { Encoder } from './encoder.js';

export interface ResNetOptions {
  /** Channels of the images. */
  readonly inputs: number;
  /** `cifar`: 3x3 stride 1. `imagenet`: 7x7 stride 2 and a 3x3 stride 2 max pool. */
  readonly stem: 'cifar' | 'imagenet';
  /** `basic`: 3x3, 3x3. `bottleneck`: 1x1, 3x3 (with the stride, v1.5), 1x1, output four times the middle. */
  readonly block: 'basic' | 'bottleneck';
  /** Blocks of each stage. */
  readonly depths: readonly number[];
  /** Middle channels of each stage; the stem has those of the first. */
  readonly channels: readonly number[];
  readonly widths: readonly number[];
  readonly slicing: Slicing;
  /** Start the last gamma of each residual branch at 0 instead of 1. */
  readonly zeroInitResidual: boolean;
}

/** Residual network (He et al., 2016), slimmable. Names follow torchvision's. */
export class ResNet implements Encoder {
  readonly channels: number;
  readonly lastStage: string;
  readonly stages: readonly string[];
  readonly #stem: ConvNorm;
  /** Blocks of each stage. */
  readonly #blocks: readonly (readonly Block[])[];

  constructor(
    declarations: Declarations,
    readonly name: string,
    private readonly options: ResNetOptions,
  ) {
    const { inputs: imageChannels, stem, block, depths, channels, zeroInitResidual } = options;
    const expansion = block === 'bottleneck' ? 4 : 1;
    this.#stem = new ConvNorm(declarations, name, '1', options, {
      inputs: imageChannels,
      outputs: channels[0]!,
      kernel: stem === 'cifar' ? 3 : 7,
      stride: stem === 'cifar' ? 1 : 2,
      slimInputs: false,
    });
    let inputs = channels[0]!;
    const stages: Block[][] = [];
    for (const [stage, depth] of depths.entries()) {
      const blocks: Block[] = [];
      stages.push(blocks);
      for (let i = 0; i < depth; i++) {
        const outputs = channels[stage]! * expansion;
        const stride = stage > 0 && i === 0 ? 2 : 1;
        const path = `${name}.layer${stage + 1}.${i}`;
        blocks.push(
          new Block(declarations, path, options, { block, inputs, outputs, stride, zeroInitResidual }),
        );
        inputs = outputs;
      }
    }
    this.#blocks = stages;
    this.channels = inputs;
    this.stages = depths.map((_, stage) => `layer${stage + 1}`);
    this.lastStage = `${name}.${this.stages.at(-1)}.`;
  }

  forward(f: Forward, images: Value, atStage?: (stage: string, map: Value) => void): Value {
    let x = f.b.op('Relu', [this.#stem.forward(f, images)]);
    if (this.options.stem === 'imagenet') {
      x = f.b.op('MaxPool', [x], { kernelShape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
    }
    for (const [i, blocks] of this.#blocks.entries()) {
      for (const block of blocks) x = block.forward(f, x);
      atStage?.(this.stages[i]!, x);
    }
    return f.b.op('Flatten', [f.b.op('GlobalAveragePool', [x])]);
  }
}

/** What layers are told of the widths. */
type Slimming = Pick<ResNetOptions, 'widths' | 'slicing'>;

/** A convolution and its batch norm, `conv1` and `bn1` of torchvision. */
class ConvNorm {
  readonly #conv: SlimmableConv2d;
  readonly #norm: SwitchableBatchNorm;

  constructor(
    declarations: Declarations,
    path: string,
    suffix: string,
    { widths, slicing }: Slimming,
    options: Omit<ConvOptions, 'slicing'> & { readonly gamma?: number },
  ) {
    const { gamma = 1, ...conv } = options;
    this.#conv = new SlimmableConv2d(declarations, `${path}.conv${suffix}`, { ...conv, slicing });
    this.#norm = new SwitchableBatchNorm(declarations, `${path}.bn${suffix}`, {
      channels: options.outputs,
      widths,
      gamma,
    });
  }

  forward(f: Forward, x: Value): Value {
    return this.#norm.forward(f, this.#conv.forward(f, x));
  }
}

interface BlockOptions {
  readonly block: 'basic' | 'bottleneck';
  readonly inputs: number;
  readonly outputs: number;
  readonly stride: number;
  readonly zeroInitResidual: boolean;
}

/** A residual block with a projection shortcut where the shape changes. */
class Block {
  readonly #branch: readonly ConvNorm[];
  readonly #shortcut: ConvNorm | null;

  constructor(
    declarations: Declarations,
    private readonly path: string,
    slimming: Slimming,
    { block, inputs, outputs, stride, zeroInitResidual }: BlockOptions,
  ) {
    const middle = outputs / 4;
    const layers =
      block === 'basic'
        ? [
            { inputs, outputs, kernel: 3, stride },
            { inputs: outputs, outputs, kernel: 3 },
          ]
        : [
            { inputs, outputs: middle, kernel: 1 },
            { inputs: middle, outputs: middle, kernel: 3, stride },
            { inputs: middle, outputs, kernel: 1 },
          ];
    this.#branch = layers.map(
      (layer, i) =>
        new ConvNorm(declarations, path, String(i + 1), slimming, {
          ...layer,
          gamma: zeroInitResidual && i === layers.length - 1 ? 0 : 1,
        }),
    );
    this.#shortcut =
      stride === 1 && inputs === outputs
        ? null
        : new ConvNorm(declarations, `${path}.downsample`, '', slimming, {
            inputs,
            outputs,
            kernel: 1,
            stride,
          });
  }

  forward(f: Forward, x: Value): Value {
    let y = x;
    for (const [i, layer] of this.#branch.entries()) {
      y = layer.forward(f, y);
      if (i < this.#branch.length - 1) y = f.scope(this.path, () => f.b.op('Relu', [y]));
    }
    const shortcut = this.#shortcut ? this.#shortcut.forward(f, x) : x;
    return f.scope(this.path, () => f.b.op('Relu', [f.b.op('Add', [y, shortcut])]));
  }
}
