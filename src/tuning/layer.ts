import { gradients } from '../autodiff.js';
import { Graph, type TensorType, type Value } from '../graph/graph.js';
import { Builder } from '../ops/builder.js';
import type { ConvPart, ConvSize } from '../targets/cpu/choices.js';
import { roundedUp } from '../targets/parameterLayout.js';
import type { ParameterPlaces, Target } from '../targets/target.js';

/** A convolution to be timed: one part of it, or all of them with the batch norm and Relu around it. */
export interface Layer {
  readonly conv: ConvSize;
  readonly part: ConvPart | 'whole';
}

/** Channels of a picture: a convolution of so many reads one, and nobody wants the gradient of that. */
const pictureChannels = 3;
const epsilon = 1e-5;

export function readsPicture({ inputs }: ConvSize): boolean {
  return inputs === pictureChannels;
}

/**
 * The composite graph of a layer. Its maps come from a batch norm, so that they lie in memory as the maps of a
 * network do; they are read and left by way of vectors, because conversions and outputs of their size would be timed
 * too. Inputs may be fed with anything; `w` is the parameter, `dw` its gradient.
 */
export function layerGraph({ conv, part }: Layer): Graph {
  const { batch, inputs, outputs, kernel, stride, height, width } = conv;
  const graph = new Graph('layer');
  const b = new Builder(graph);
  const inputShape = [height * stride, width * stride];
  const x = () =>
    readsPicture(conv)
      ? graph.input('x', float(batch, inputs, ...inputShape))
      : normalized(b, 'x', spread(b, 'x', [batch, inputs, ...inputShape]));
  const dy = () => normalized(b, 'dy', spread(b, 'dy', [batch, outputs, height, width]));
  const weight = () => graph.input('w', float(outputs, inputs, kernel, kernel));
  const pad = (kernel - 1) / 2;
  const attributes = { strides: [stride, stride], pads: [pad, pad, pad, pad] } as const;
  switch (part) {
    case 'forward':
      graph.output('y', averages(b, b.op('Conv', [x(), weight()], attributes)));
      break;
    case 'inputGradient':
      graph.output('dx', averages(b, b.op('ConvInputGrad', [dy(), weight()], { ...attributes, inputShape })));
      break;
    case 'weightGradient':
      graph.output(
        'dw',
        b.op('ConvWeightGrad', [x(), dy()], { ...attributes, kernelShape: [kernel, kernel] }),
      );
      break;
    case 'whole': {
      const [image, w] = [x(), weight()];
      const y = b.op('Relu', [normalized(b, 'y', b.op('Conv', [image, w], attributes))]);
      const seed = graph.input('seed', float(batch, outputs, 1, 1));
      const loss = b.op('ReduceSum', [b.op('Mul', [averages(b, y), seed])], { keepdims: false });
      const wanted = readsPicture(conv) ? [w] : [w, image];
      const [dw, dx] = gradients(b, loss, wanted) as [Value, Value?];
      graph.output('dw', dw);
      if (dx) graph.output('dx', averages(b, dx));
    }
  }
  return graph;
}

/** Where the parameter lies as a target's kernels want it: a block of one that fills whole blocks of channels. */
export function layerPlaces({ conv }: Layer, target: Target, block: number): ParameterPlaces {
  const up = (channels: number) => roundedUp(channels, block);
  const inputs = readsPicture(conv) ? conv.inputs : up(conv.inputs);
  const layout = target.layout!([up(conv.outputs), inputs, conv.kernel, conv.kernel]);
  return { inputs: new Map([['w', layout]]), outputs: new Map([['dw', layout]]) };
}

function float(...shape: number[]): TensorType {
  return { dtype: 'float32', shape };
}

function spread(b: Builder, name: string, shape: readonly number[]): Value {
  const [n, c] = shape as [number, number];
  return b.op('Expand', [b.graph.input(name, float(n, c, 1, 1))], { shape });
}

function normalized(b: Builder, name: string, x: Value): Value {
  const vector = float(x.dims[1]!);
  const gamma = b.graph.input(`${name}.gamma`, vector);
  const beta = b.graph.input(`${name}.beta`, vector);
  return b.op('BatchNormTrain', [x, gamma, beta], { epsilon });
}

function averages(b: Builder, x: Value): Value {
  return b.op('GlobalAveragePool', [x]);
}
