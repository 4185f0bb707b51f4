import type { Dimension, ElementType, TensorType, TypedArray } from '../onnx/model.js';

export type { AttributeValue, Dimension, ElementType, TensorType, TypedArray } from '../onnx/model.js';

/** Attributes of a node as the operator files type them; emission turns them into ONNX attributes and inputs. */
export type Attributes = object;

/** A tensor in a graph: an input, a constant, or an output of a node. */
export class Value {
  constructor(
    readonly name: string,
    readonly type: TensorType,
    readonly producer: Node | null,
  ) {}

  get shape(): readonly Dimension[] {
    return this.type.shape;
  }

  get dtype(): ElementType {
    return this.type.dtype;
  }

  /** The shape where every dimension is known; throws for a symbolic one. */
  get dims(): readonly number[] {
    return this.type.shape.map((d) => {
      if (typeof d === 'string')
        throw new Error(`${this.name}: dimension "${d}" is symbolic, a static shape is needed`);
      return d;
    });
  }
}

export interface Node {
  readonly name: string;
  /** Key of the operator table, or the type of a raw node of another domain. */
  readonly op: string;
  /** '' for ONNX, `slimclr` for composite operators, else a runtime's own domain (a raw node). */
  readonly domain: string;
  /** Absent optional inputs are null. */
  readonly inputs: readonly (Value | null)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
}

/** Where an input's value comes from when nobody feeds it: an overridable initializer. */
export type Default =
  | { readonly kind: 'inline'; readonly values: TypedArray }
  /** A tensor of the folder's shared weights file. */
  | { readonly kind: 'weights'; readonly tensor: string };

/**
 * A graph under construction: nodes in topological order by construction, named deterministically from the
 * scope they were added in. It knows nothing of operators; `Builder` (src/ops) adds typed nodes.
 */
export class Graph {
  readonly inputs: Value[] = [];
  readonly defaults = new Map<Value, Default>();
  readonly constants = new Map<Value, TypedArray>();
  readonly nodes: Node[] = [];
  readonly outputs = new Map<string, Value>();

  readonly #names = new Map<string, number>();
  readonly #constantsByContent = new Map<string, Value>();
  #scope: readonly string[] = [];

  constructor(readonly name: string) {}

  /** Runs `body` with `name` appended to the dotted path that new nodes are named after. */
  scope<T>(name: string, body: () => T): T {
    const outer = this.#scope;
    this.#scope = name === '' ? outer : [...outer, name];
    try {
      return body();
    } finally {
      this.#scope = outer;
    }
  }

  /** Adds an input; with a default it becomes an overridable initializer. */
  input(name: string, type: TensorType, fallback?: Default): Value {
    if (this.#names.has(name)) throw new Error(`graph ${this.name}: the name "${name}" is taken`);
    this.#names.set(name, 1);
    const value = new Value(name, type, null);
    this.inputs.push(value);
    if (fallback) this.defaults.set(value, fallback);
    return value;
  }

  /** A constant; equal constants are one value. */
  constant(values: TypedArray, shape: readonly number[], dtype: ElementType): Value {
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    const key = `${dtype}[${shape.join(',')}]:${bytes.toString('base64')}`;
    let value = this.#constantsByContent.get(key);
    if (!value) {
      value = new Value(this.#unique('constant'), { dtype, shape }, null);
      this.#constantsByContent.set(key, value);
      this.constants.set(value, values);
    }
    return value;
  }

  /** Adds a node with known output types. Several outputs are named `node.0`, `node.1`. */
  add(
    op: string,
    domain: string,
    inputs: readonly (Value | null)[],
    outputTypes: readonly TensorType[],
    attributes: Attributes = {},
  ): Node {
    const path = this.#scope.join('.');
    return this.#append(path === '' ? op : `${path}/${op}`, op, domain, inputs, outputTypes, attributes);
  }

  /** Adds a node of another graph under its own name, reading `inputs`; returns its outputs. */
  copy(node: Node, inputs: readonly (Value | null)[]): readonly Value[] {
    const types = node.outputs.map((output) => output.type);
    return this.#append(node.name, node.op, node.domain, inputs, types, node.attributes).outputs;
  }

  #append(
    base: string,
    op: string,
    domain: string,
    inputs: readonly (Value | null)[],
    outputTypes: readonly TensorType[],
    attributes: Attributes,
  ): Node {
    const name = this.#unique(base);
    const outputs: Value[] = [];
    const node: Node = { name, op, domain, inputs, outputs, attributes };
    for (const [i, type] of outputTypes.entries()) {
      outputs.push(new Value(outputTypes.length === 1 ? name : `${name}.${i}`, type, node));
    }
    this.nodes.push(node);
    return node;
  }

  output(name: string, value: Value): void {
    if (this.outputs.has(name)) throw new Error(`graph ${this.name}: output "${name}" is declared twice`);
    this.outputs.set(name, value);
  }

  /** Removes nodes, and constants, that no output depends on. Inputs stay: they are the graph's signature. */
  prune(): void {
    const live = new Set<Value>(this.outputs.values());
    const kept: Node[] = [];
    for (let i = this.nodes.length - 1; i >= 0; i--) {
      const node = this.nodes[i]!;
      if (!node.outputs.some((o) => live.has(o))) continue;
      kept.push(node);
      for (const input of node.inputs) if (input) live.add(input);
    }
    this.nodes.splice(0, this.nodes.length, ...kept.reverse());
    for (const [content, value] of this.#constantsByContent) {
      if (live.has(value)) continue;
      this.constants.delete(value);
      this.#constantsByContent.delete(content);
    }
  }

  #unique(base: string): string {
    const seen = this.#names.get(base) ?? 0;
    this.#names.set(base, seen + 1);
    if (seen === 0) return base;
    const name = `${base}_${seen}`;
    return this.#names.has(name) ? this.#unique(base) : (this.#names.set(name, 1), name);
  }
}

export function sameShape(a: readonly Dimension[], b: readonly Dimension[]): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

export function sameType(a: TensorType, b: TensorType): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape);
}
