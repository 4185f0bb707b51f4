import type { Config } from '../config/schema.js';
import { shortSide } from '../data/transform.js';
import type { Graph } from '../graph/graph.js';
import { type TensorType, type Value } from '../graph/graph.js';
import { rewrite } from '../graph/rewrite.js';
import { Builder } from '../ops/builder.js';
import type { ExportForm } from './form.js';

/** What a model of a form takes as `images`; `S` is `imageSize`. */
export function imagesType(
  { input, resize, batch }: Pick<ExportForm, 'input' | 'resize' | 'batch'>,
  { channels, imageSize }: Pick<Config['data'], 'channels' | 'imageSize'>,
): TensorType {
  const [n, h, w] = [batch ?? 'batch', ...(resize ? ['height', 'width'] : [imageSize, imageSize])] as const;
  return input === 'uint8-nhwc'
    ? { dtype: 'uint8', shape: [n, h!, w!, channels] }
    : { dtype: 'float32', shape: [n, channels, h!, w!] };
}

/**
 * A graph that takes images of a form in place of one that takes them normalised, `[batch, C, S, S]`: the
 * preprocessing of the evaluation (README.md in this folder) as far as the form asks for it.
 */
export function withInputForm(
  graph: Graph,
  data: Config['data'],
  form: Pick<ExportForm, 'input' | 'resize' | 'batch'>,
): Graph {
  if (form.input === 'float32-nchw' && !form.resize) return graph;
  const { channels, imageSize, mean, std } = data;
  return rewrite(graph, {
    input({ name }, copy) {
      if (name !== 'images') return null;
      const b = new Builder(copy);
      const images = copy.input(name, imagesType(form, data));
      return b.scope('preprocessing', () => {
        const bytes = form.input === 'uint8-nhwc';
        let x = bytes ? b.cast(channelsFirst(b, images, form.resize ? channels : null), 'float32') : images;
        if (form.resize) x = b.scope('resize', () => centerCropped(b, x, imageSize));
        return bytes ? b.scope('normalize', () => normalized(b, x, mean, std)) : x;
      });
    },
    replace: () => null,
  });
}

/** `[N, H, W, C]` -> `[N, C, H, W]`; `beforeResize`: C, where a Resize follows. */
function channelsFirst(b: Builder, images: Value, beforeResize: number | null): Value {
  const x = b.op('Transpose', [images], { perm: [0, 3, 1, 2] });
  if (beforeResize === null) return x;
  // ONNX Runtime 1.29 moves a Transpose behind a Resize where it saves one before a quantised convolution, and permutes
  // the sizes as if they were four. It moves none behind a Gather.
  const channels = BigInt64Array.from({ length: beforeResize }, (_, i) => BigInt(i));
  return b.op('Gather', [x, b.graph.constant(channels, [beforeResize], 'int64')], { axis: 1 });
}

/** `(value / 255 - mean) / std` by channel. */
function normalized(b: Builder, x: Value, mean: readonly number[], std: readonly number[]): Value {
  const ofChannels = (values: readonly number[]) =>
    b.graph.constant(Float32Array.from(values), [1, values.length, 1, 1], 'float32');
  const centred = b.op('Sub', [x, ofChannels(mean.map((value) => 255 * value))]);
  return b.op('Mul', [centred, ofChannels(std.map((value) => 1 / (255 * value)))]);
}

/** The centre of maps of any size, as `centerCrop` of src/data/transform.ts cuts it out, in integers. */
function centerCropped(b: Builder, x: Value, size: number): Value {
  const int = (...values: number[]) =>
    b.graph.constant(BigInt64Array.from(values, BigInt), [values.length], 'int64');
  const sides = b.op('Shape', [x], { start: 2 });
  const side = (axis: number) => b.op('Slice', [sides], { starts: [axis], ends: [axis + 1], axes: [0] });
  const [height, width] = [side(0), side(1)];
  const shorter = b.op('Where', [b.op('Greater', [height, width]), width, height]);
  const isSize = (value: Value) => b.op('Equal', [value, int(size)]);
  // An image of the right size is taken as it is.
  const target = b.op('Where', [
    isSize(height),
    b.op('Where', [isSize(width), int(size), int(shortSide(size))]),
    int(shortSide(size)),
  ]);
  const resized = b.op('Div', [b.op('Mul', [sides, target]), shorter]);
  const maps = b.op('Resize', [x, null, null, resized], { height: 'resized_height', width: 'resized_width' });

  // Half of what is left over, a half to the even neighbour: q + (rest mod 2) (q mod 2), q = floor(rest / 2).
  const two = int(2);
  const rest = b.op('Sub', [resized, int(size)]);
  const half = b.op('Div', [rest, two]);
  const odd = (value: Value, halved: Value) => b.op('Sub', [value, b.op('Mul', [halved, two])]);
  const offset = b.op('Add', [half, b.op('Mul', [odd(rest, half), odd(half, b.op('Div', [half, two]))])]);
  const steps = int(...Array.from({ length: size }, (_, i) => i));
  return [0, 1].reduce((cropped, axis) => {
    const first = b.op('Slice', [offset], { starts: [axis], ends: [axis + 1], axes: [0] });
    return b.op('Gather', [cropped, b.op('Add', [steps, first])], { axis: axis + 2 });
  }, maps);
}
