import onnxProto from 'onnx-proto';
import type { Random } from '../../src/random.js';

/** A file as it might be after an accident, or as somebody might write it who means harm. */
export interface Mutation {
  readonly what: string;
  readonly bytes: Buffer;
}

type Mutate = (bytes: Buffer, random: Random) => Mutation;

/** A mutation of a file, of one of the kinds that its name allows. */
export function mutate(name: string, bytes: Buffer, random: Random): Mutation {
  const kinds: Mutate[] = [truncated, flipped, zeroed];
  if (name.endsWith('.json')) kinds.push(jsonMutated, jsonMutated, jsonMutated, jsonMutated);
  if (name.endsWith('.jsonl')) kinds.push(lineMutated, lineMutated, lineCut, lineAdded);
  if (name.endsWith('.safetensors')) kinds.push(headerMutated, headerMutated, headerMutated, lengthMutated);
  if (name.endsWith('.onnx')) kinds.push(modelMutated, modelMutated, modelMutated);
  return pick(kinds, random)(bytes, random);
}

function pick<T>(choices: readonly T[], random: Random): T {
  return choices[random.integer(choices.length)]!;
}

const truncated: Mutate = (bytes, random) => {
  const length = random.integer(bytes.length);
  return { what: `cut after ${length} of ${bytes.length} bytes`, bytes: bytes.subarray(0, length) };
};

const flipped: Mutate = (bytes, random) => {
  const copy = Buffer.from(bytes);
  const count = 1 + random.integer(4);
  for (let i = 0; i < count; i++) copy[random.integer(copy.length)]! ^= 1 << random.integer(8);
  return { what: `${count} bits flipped`, bytes: copy };
};

const zeroed: Mutate = (bytes, random) => {
  const copy = Buffer.from(bytes);
  const from = random.integer(copy.length);
  copy.fill(0, from, Math.min(copy.length, from + 512));
  return { what: `zeros from byte ${from}`, bytes: copy };
};

const values = ['null', 'true', '-1', '0', '0.5', '1e300', '1e999', '9007199254740993', '""', '"x"', '[]', '{}', '[null]', '"../../victim"', '"/dev/zero"', '"w1.00"', '"\\u001b[2J\\n"', '{"__proto__":null}']; // prettier-ignore
/** Stands for a value until the text is made: JSON has no 1e999. */
const hole = '\u0001hole\u0001';

/** JSON with one value replaced or one key removed. */
function changed(json: unknown, random: Random): { what: string; text: string } {
  const places: { parent: Record<string, unknown>; key: string; path: string; depth: number }[] = [];
  const root = { root: json };
  const visit = (parent: Record<string, unknown>, key: string, path: string, depth: number): void => {
    places.push({ parent, key, path, depth });
    const value = parent[key];
    if (typeof value !== 'object' || value === null) return;
    for (const inner of Object.keys(value))
      visit(value as Record<string, unknown>, inner, `${path}.${inner}`, depth + 1);
  };
  visit(root, 'root', '', 0);
  // First the depth, else nearly all would be numbers in long lists.
  const level = random.integer(1 + places.reduce((deepest, { depth }) => Math.max(deepest, depth), 0));
  const chosen = places.filter(({ depth }) => depth === level);
  const { parent, key, path } = pick(chosen, random);
  if (random.integer(5) === 0 && parent !== root) {
    if (Array.isArray(parent)) parent.splice(Number(key), 1);
    else delete parent[key];
    return { what: `${path} removed`, text: JSON.stringify(root.root) };
  }
  const value = pick(values, random);
  parent[key] = hole;
  return {
    what: `${path || 'all'} is ${value}`,
    text: JSON.stringify(root.root).replace(JSON.stringify(hole), () => value),
  };
}

const jsonMutated: Mutate = (bytes, random) => {
  const { what, text } = changed(JSON.parse(bytes.toString()), random);
  return { what, bytes: Buffer.from(text) };
};

function withLine(
  bytes: Buffer,
  random: Random,
  edit: (line: string) => readonly string[],
): [number, Buffer] {
  const lines = bytes.toString().split('\n');
  const i = random.integer(lines.length - 1);
  lines.splice(i, 1, ...edit(lines[i]!));
  return [i + 1, Buffer.from(lines.join('\n'))];
}

const lineMutated: Mutate = (bytes, random) => {
  let how = '';
  const [line, mutated] = withLine(bytes, random, (text) => {
    const { what, text: after } = changed(JSON.parse(text), random);
    how = what;
    return [after];
  });
  return { what: `line ${line}: ${how}`, bytes: mutated };
};

const lineCut: Mutate = (bytes, random) => {
  const [line, mutated] = withLine(bytes, random, (text) => [text.slice(0, random.integer(text.length))]);
  return { what: `line ${line} cut`, bytes: mutated };
};

const lineAdded: Mutate = (bytes, random) => {
  const added = pick(
    ['null', '[]', '7', '{}', '"x"', '{"type":"step"}', '\0\0\0', '{"type":"start"}'],
    random,
  );
  const [line, mutated] = withLine(bytes, random, (text) => [text, added]);
  return { what: `after line ${line}: ${JSON.stringify(added)}`, bytes: mutated };
};

/** Its header with one value changed. */
const headerMutated: Mutate = (bytes, random) => {
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as {
    __metadata__?: Record<string, string>;
  };
  const metadata = header.__metadata__;
  let what: string;
  let text: string;
  if (metadata && random.integer(2) === 0) {
    // What the metadata hold is JSON in a string, or a number in one.
    const key = pick(Object.keys(metadata), random);
    const value = pick([...values, 'NaN', '-5', '', 'x'.repeat(70)], random);
    const inner = metadata[key]!.startsWith('{') && random.integer(2) === 0;
    const change = inner ? changed(JSON.parse(metadata[key]!), random) : { what: value, text: value };
    what = `metadata ${key}: ${change.what}`;
    metadata[key] = change.text;
    // Versions before wrote no checksum, which a change would not fit.
    if (key !== 'checksum') delete metadata['checksum'];
    text = JSON.stringify(header);
  } else {
    const change = changed(header, random);
    what = `header${change.what}`;
    text = change.text;
  }
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  return { what, bytes: Buffer.concat([size, Buffer.from(text), bytes.subarray(8 + length)]) };
};

const lengthMutated: Mutate = (bytes, random) => {
  const copy = Buffer.from(bytes);
  const length = pick([0n, 1n, 2n ** 31n, 2n ** 53n, 2n ** 63n, BigInt(bytes.length)], random);
  copy.writeBigUInt64LE(length);
  return { what: `header length ${length}`, bytes: copy };
};

const { ModelProto, TensorProto } = onnxProto.onnx;

/** A model that parses but says something else. */
const modelMutated: Mutate = (bytes, random) => {
  const model = ModelProto.decode(bytes);
  const graph = model.graph!;
  const initializers = graph.initializer!;
  const tensor = initializers.length === 0 ? undefined : pick(initializers, random);
  const node = pick(graph.node!, random);
  const number = pick([-1, 0, 2 ** 31, 2 ** 52, 7], random);
  const edits: [string, () => void][] = [
    ['no operator sets', () => (model.opsetImport = [])],
    [`opset ${number}`, () => (model.opsetImport[0]!.version = number)],
    ['no graph', () => (model.graph = null)],
    ['no nodes', () => (graph.node = [])],
    [`node ${node.name} is of operator ../x`, () => (node.opType = '../x')],
    [`node ${node.name} has no inputs`, () => (node.input = [])],
    [`node ${node.name} has no outputs`, () => (node.output = [])],
    [`node ${node.name} twice`, () => graph.node!.push(node)],
    ['an input of a huge shape', () => (graph.input![0]!.type!.tensorType!.shape!.dim = [{ dimValue: number }, { dimValue: 2 ** 40 }])], // prettier-ignore
    ['an input without a type', () => (graph.input![0]!.type = null)],
    ['outputs without names', () => graph.output!.forEach((output) => (output.name = ''))],
  ];
  for (const attribute of node.attribute ?? []) {
    edits.push([`attribute ${attribute.name} is ${number}`, () => Object.assign(attribute, { i: number, ints: [number], type: pick([0, 2, 7, 4, 99], random) })]); // prettier-ignore
  }
  if (tensor) {
    const external = (location: string, offset: string, length: string) => () => {
      tensor.dataLocation = TensorProto.DataLocation.EXTERNAL;
      tensor.externalData = Object.entries({ location, offset, length }).map(([key, value]) => ({
        key,
        value,
      }));
    };
    edits.push(
      [`${tensor.name} of dimensions ${number}`, () => (tensor.dims = [number, number])],
      [`${tensor.name} of type 99`, () => (tensor.dataType = 99)],
      [
        `${tensor.name} without data`,
        () => Object.assign(tensor, { rawData: new Uint8Array(), floatData: [] }),
      ],
      [`${tensor.name} in /dev/zero`, external('/dev/zero', '0', '4')],
      [`${tensor.name} in ../../victim`, external('../../victim', '0', '4')],
      [`${tensor.name} at a negative offset`, external('weights.safetensors', '-8', '4')],
      [`${tensor.name} of a huge length`, external('weights.safetensors', '0', '1e300')],
    );
  }
  const [what, edit] = pick(edits, random);
  edit();
  return { what, bytes: Buffer.from(ModelProto.encode(model).finish()) };
};
