/**
 * The part of WebAssembly 2.0 (with 128-bit SIMD) that the image kernels use: instructions as byte sequences
 * and the module around them. An expression is the code that leaves its value on the stack.
 */
export type Code = readonly number[];

const i32Type = 0x7f;
const f32Type = 0x7d;
const v128Type = 0x7b;
const noType = 0x40;

const typeCodes = { i32: i32Type, f32: f32Type, v128: v128Type } as const;
export type ValueType = keyof typeof typeCodes;

/** A parameter or local variable of a function. */
export interface Variable {
  readonly get: Code;
  set(value: Code): Code;
}

/** A function under construction: `[parameters] -> [result]`. */
export class FunctionBuilder {
  readonly #types: number[] = [];
  #parameters = 0;

  /** Parameters come before all locals. */
  parameter(type: Exclude<ValueType, 'v128'>): Variable {
    if (this.#types.length > this.#parameters) throw new RangeError('a parameter after a local variable');
    this.#parameters += 1;
    return this.local(type);
  }

  /** Zero at the start of the function. */
  local(type: ValueType): Variable {
    const index = unsigned(this.#types.push(typeCodes[type]) - 1);
    return { get: [0x20, ...index], set: (value) => [...value, 0x21, ...index] };
  }

  locals(type: ValueType, count: number): readonly Variable[] {
    return Array.from({ length: count }, () => this.local(type));
  }

  /** Type section entry and body of the finished function. */
  finish(body: Code, result?: ValueType): { readonly type: Code; readonly body: Code } {
    const parameters = this.#types.slice(0, this.#parameters);
    const results = result ? [typeCodes[result]] : [];
    const locals = this.#types.slice(this.#parameters).map((type) => [1, type]);
    return {
      type: [0x60, ...vector(parameters.map((type) => [type])), ...vector(results.map((type) => [type]))],
      body: sized([...vector(locals), ...body, 0x0b]),
    };
  }
}

/** Build one function: `define` declares parameters and locals and returns the body. */
export function buildFunction(define: (builder: FunctionBuilder) => Code, result?: ValueType) {
  const builder = new FunctionBuilder();
  return builder.finish(define(builder), result);
}

/** A module that exports a memory as `memory`, and each function by its name. */
export function encodeModule(
  functions: Readonly<Record<string, ReturnType<typeof buildFunction>>>,
): Uint8Array<ArrayBuffer> {
  const entries = Object.entries(functions);
  const exports = entries.map(([name], index) => [...text(name), 0x00, ...unsigned(index)]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(
      1,
      entries.map(([, { type }]) => type),
    ),
    ...section(
      3,
      entries.map((_, index) => unsigned(index)),
    ),
    ...section(5, [[0x00, 0x00]]),
    ...section(7, [[...text('memory'), 0x02, 0x00], ...exports]),
    ...section(
      10,
      entries.map(([, { body }]) => body),
    ),
  ]);
}

/** Run `body` for `variable`, `variable + step`, ... below `end`; unsigned addresses. */
export function forUpTo(variable: Variable, end: Code, step: number, body: Code): Code {
  const below = [...variable.get, ...end, 0x49];
  return [
    ...[...below, 0x04, noType, 0x03, noType],
    ...body,
    ...variable.set(i32.add(variable.get, i32.const(step))),
    ...[...below, 0x0d, 0x00, 0x0b, 0x0b],
  ];
}

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  add: (a: Code, b: Code): Code => [...a, ...b, 0x6a],
  and: (a: Code, b: Code): Code => [...a, ...b, 0x71],
  load: (address: Code, offset = 0): Code => [...address, 0x28, 2, ...unsigned(offset)],
};

export const v128 = {
  load: (address: Code, offset = 0): Code => [...address, ...simd(0x00), 0, ...unsigned(offset)],
  /** One 32-bit value in all lanes. */
  loadSplat: (address: Code, offset = 0): Code => [...address, ...simd(0x09), 2, ...unsigned(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...[...address, ...value],
    ...[...simd(0x0b), 0, ...unsigned(offset)],
  ],
  and: (a: Code, b: Code): Code => [...a, ...b, ...simd(0x4e)],
  /** Lanes of `a` where `mask` is set, else of `b`. */
  select: (mask: Code, a: Code, b: Code): Code => [...a, ...b, ...mask, ...simd(0x52)],
  /** Lanes 0 to 3 are of `a`, 4 to 7 of `b`. */
  shuffle: (a: Code, b: Code, lanes: readonly [number, number, number, number]): Code => [
    ...[...a, ...b, ...simd(0x0d)],
    ...lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]),
  ],
  /** Eight unsigned bytes to 16 bits: the lower or the upper half. */
  bytesLow: (value: Code): Code => [...value, ...simd(0x89)],
  bytesHigh: (value: Code): Code => [...value, ...simd(0x8a)],
  /** Four unsigned 16-bit values to 32 bits. */
  wordsLow: (value: Code): Code => [...value, ...simd(0xa9)],
  wordsHigh: (value: Code): Code => [...value, ...simd(0xaa)],
};

export const f32x4 = {
  splat: (value: Code): Code => [...value, ...simd(0x13)],
  const: (value: number): Code => f32x4.splat([0x43, ...new Uint8Array(Float32Array.of(value).buffer)]),
  lane: (value: Code, lane: number): Code => [...value, ...simd(0x1f), lane],
  add: (a: Code, b: Code): Code => [...a, ...b, ...simd(0xe4)],
  sub: (a: Code, b: Code): Code => [...a, ...b, ...simd(0xe5)],
  mul: (a: Code, b: Code): Code => [...a, ...b, ...simd(0xe6)],
  div: (a: Code, b: Code): Code => [...a, ...b, ...simd(0xe7)],
  /** `b < a ? b : a` and `a < b ? b : a`, one machine instruction each. */
  min: (a: Code, b: Code): Code => [...a, ...b, ...simd(0xea)],
  max: (a: Code, b: Code): Code => [...a, ...b, ...simd(0xeb)],
  equal: (a: Code, b: Code): Code => [...a, ...b, ...simd(0x41)],
  lessOrEqual: (a: Code, b: Code): Code => [...a, ...b, ...simd(0x45)],
  fromUint32: (value: Code): Code => [...value, ...simd(0xfb)],
};

export const f32 = {
  add: (a: Code, b: Code): Code => [...a, ...b, 0x92],
};

function simd(opcode: number): Code {
  return [0xfd, ...unsigned(opcode)];
}

function section(id: number, items: readonly Code[]): Code {
  return [id, ...sized(vector(items))];
}

function vector(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function sized(bytes: Code): Code {
  return [...unsigned(bytes.length), ...bytes];
}

function text(name: string): Code {
  return sized([...new TextEncoder().encode(name)]);
}

/** LEB128. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): Code {
  const last = value >= -0x40 && value < 0x40;
  return last ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
