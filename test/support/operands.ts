import type { ElementType, Value } from '../../src/graph/graph.js';
import { elementCount } from '../../src/onnx/model.js';
import type { Builder } from '../../src/ops/builder.js';
import { pack, type ParameterLayout } from '../../src/targets/parameterLayout.js';
import type { ParameterPlaces } from '../../src/targets/target.js';
import type { TestedTarget } from './testedTargets.js';

/** An input of the operator under test. */
export interface OperandType {
  /** Default float32. */
  readonly dtype?: ElementType;
  readonly shape: readonly number[];
  /** Whether it is trained, and lies as the target keeps parameters. */
  readonly parameter?: boolean;
}

/** Operands as the values that a target's graphs have, and what is fed for them. */
export interface PlacedOperands {
  readonly values: readonly Value[];
  readonly places: ParameterPlaces;
  /** The graph's feeds, given the elements of each operand, row-major. */
  feeds(elements: readonly (readonly number[])[]): Record<string, readonly number[]>;
}

/** Whether a target can treat an operand otherwise than as an input of its own shape. */
export function isMap({ dtype = 'float32', shape, parameter = false }: OperandType): boolean {
  return !parameter && dtype === 'float32' && shape.length === 4;
}

/** Channels in whole blocks of any target. */
const whole = (channels: number) => Math.ceil(channels / 16) * 16;

/** A parameter that this one is the leading block of, as layers have them: those of convolutions in whole blocks. */
function wholeParameter(shape: readonly number[]): readonly number[] {
  const [outputs, inputs, ...window] = shape as [number, number, ...number[]];
  if (window.length === 0) return shape;
  // Of the channels of an image there are no blocks.
  return [whole(outputs), inputs === 3 ? 3 : whole(inputs), ...window];
}

/**
 * Adds inputs for the operands to a graph. A parameter has the layout that the target gives it; between layers it is a
 * slice of a larger one, as a width's parameters are, and a map comes out of a 1x1 convolution that changes nothing.
 */
export function placeOperands(
  b: Builder,
  operands: readonly OperandType[],
  { target, betweenLayers = false }: Omit<TestedTarget, 'title'>,
): PlacedOperands {
  const inputs = new Map<string, ParameterLayout>();
  const feeders: ((
    elements: readonly (readonly number[])[],
    into: Record<string, readonly number[]>,
  ) => void)[] = [];
  const input = (name: string, { dtype = 'float32', shape }: OperandType) =>
    b.graph.input(name, { dtype, shape });

  /** A parameter, and how elements of it are fed. */
  const parameter = (name: string, shape: readonly number[]) => {
    const layout = target.layout?.(shape) ?? 'plain';
    inputs.set(name, layout);
    const feed = (elements: readonly number[]) =>
      Array.from(pack(Float32Array.from(elements), shape, layout));
    return { value: input(name, { shape }), feed };
  };
  const identity = (name: string, channels: number): Value => {
    const full = whole(channels);
    const { value, feed } = parameter(name, [full, full, 1, 1]);
    const fed = feed(Array.from({ length: full ** 2 }, (_, i) => Number(i % (full + 1) === 0)));
    feeders.push((_, into) => (into[name] = fed));
    return leading(b, value, [channels, channels, 1, 1]);
  };

  const values = operands.map((operand, i) => {
    const { shape } = operand;
    const name = `in${i}`;
    if (operand.parameter) {
      const { value, feed } = parameter(name, betweenLayers ? wholeParameter(shape) : shape);
      const full = value.dims;
      feeders.push((elements, into) => (into[name] = feed(embedded(elements[i]!, shape, full))));
      return leading(b, value, shape);
    }
    const value = input(name, operand);
    feeders.push((elements, into) => (into[name] = elements[i]!));
    if (!betweenLayers || !isMap(operand)) return value;
    return b.op('Conv', [value, identity(`identity${i}`, shape[1]!)], {
      strides: [1, 1],
      pads: [0, 0, 0, 0],
    });
  });
  return {
    values,
    places: { inputs, outputs: new Map() },
    feeds(elements) {
      const into: Record<string, readonly number[]> = {};
      for (const feed of feeders) feed(elements, into);
      return into;
    },
  };
}

/** The leading block of a parameter. */
function leading(b: Builder, value: Value, shape: readonly number[]): Value {
  const axes = [0, 1].filter((axis) => value.dims[axis] !== shape[axis]);
  if (axes.length === 0) return value;
  return b.op('Slice', [value], {
    starts: axes.map(() => 0),
    ends: axes.map((axis) => shape[axis]!),
    axes,
  });
}

/** Elements of `[K, C, ...]` as the leading block of `full`. What lies outside it must not matter, so it is not zero. */
function embedded(elements: readonly number[], shape: readonly number[], full: readonly number[]): number[] {
  if (shape.join() === full.join()) return [...elements];
  const window = elementCount(shape.slice(2));
  return Array.from({ length: elementCount(full) }, (_, i) => {
    const [k, c] = [Math.floor(i / window / full[1]!), Math.floor(i / window) % full[1]!];
    return k < shape[0]! && c < shape[1]! ? elements[(k * shape[1]! + c) * window + (i % window)]! : 100 + i;
  });
}
