import {
  sameShape,
  type Dimension,
  type ElementType,
  type Graph,
  type TensorType,
  type Value,
} from '../graph/graph.js';
import { floatsOf, isFloating, type FloatType } from '../onnx/model.js';
import { operators, type NodeOperator } from './index.js';
import type { NoAttributes, OpName, OperatorAttributes } from './operator.js';

/** What follows the inputs of an operator: its attributes, where it has any. */
export type Arguments<K extends OpName> = OperatorAttributes[K] extends NoAttributes
  ? NoAttributes extends OperatorAttributes[K]
    ? [attributes?: OperatorAttributes[K]]
    : [attributes: OperatorAttributes[K]]
  : [attributes: OperatorAttributes[K]];

/** Adds operators of the table to a graph: `b.op('Conv', [x, w], {...})`. Types are inferred and checked on the spot. */
export class Builder {
  constructor(readonly graph: Graph) {}

  /** Adds a node and returns its outputs. */
  node<K extends OpName>(op: K, inputs: readonly (Value | null)[], ...rest: Arguments<K>): readonly Value[] {
    const attributes = (rest[0] ?? {}) as OperatorAttributes[K];
    // What `op` names takes these attributes: the signature says so.
    const operator = operators[op] as NodeOperator;
    let types: readonly TensorType[];
    try {
      types = operator.infer(
        inputs.map((v) => v?.type ?? null),
        attributes,
      );
    } catch (cause) {
      const described = inputs
        .map((v) => (v ? `${v.name} ${v.dtype}[${v.shape.join(',')}]` : 'none'))
        .join(', ');
      throw new Error(`${op}(${described}): ${(cause as Error).message}`, { cause });
    }
    return this.graph.add(op, operator.domain, inputs, types, attributes).outputs;
  }

  /** Adds a node and returns its first output. */
  op<K extends OpName>(op: K, inputs: readonly (Value | null)[], ...rest: Arguments<K>): Value {
    return this.node(op, inputs, ...rest)[0]!;
  }

  scope<T>(name: string, body: () => T): T {
    return this.graph.scope(name, body);
  }

  /** A float scalar (float32 unless told). */
  scalar(value: number, dtype: FloatType = 'float32'): Value {
    return this.graph.constant(floatsOf(dtype, [value]), [], dtype);
  }

  /** A scalar with the dtype of `like`; float32 where that is no float. */
  scalarLike(value: number, like: Value): Value {
    return this.scalar(value, isFloating(like.dtype) ? like.dtype : 'float32');
  }

  /** Cast; `x` itself where it has that type. */
  cast(x: Value, to: ElementType): Value {
    return x.dtype === to ? x : this.op('Cast', [x], { to });
  }

  /** Reshape; `x` itself where it has that shape. A symbolic dimension stays where it is. */
  reshape(x: Value, shape: readonly Dimension[]): Value {
    if (sameShape(x.shape, shape)) return x;
    return this.op('Reshape', [x], {
      shape: shape.map((d, i) => (d === x.shape[i] && typeof d === 'string' ? 0 : (d as number))),
    });
  }
}
