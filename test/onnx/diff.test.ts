import { expect } from 'chai';
import { diffModels, diffTexts, formatDifference } from '../../src/onnx/diff.js';
import type { Initializer, NamedType, OnnxModel, OnnxNode } from '../../src/onnx/model.js';
import { modelText } from '../../src/onnx/text.js';
import { Random } from '../../src/random.js';
import { affineModel, float32, node } from './models.js';

const table: Initializer = {
  name: 'table',
  type: { dtype: 'float32', shape: [2] },
  data: { kind: 'inline', values: Float32Array.of(1, 2) },
};

/** Two convolutions, each followed by Relu; values are named as the graph builder names them. */
const model: OnnxModel = {
  ...affineModel,
  inputs: [float32('x', 1, 3, 8, 8), float32('w1', 4, 3, 3, 3), float32('w2', 4, 4, 3, 3)],
  outputs: [float32('y', 1, 4, 8, 8)],
  values: ['conv', 'relu', 'conv_1', 'scaled'].map((name) => float32(name, 1, 4, 8, 8)),
  initializers: [table],
  nodes: [
    node('Conv', ['x', 'w1'], ['conv'], { pads: [1, 1, 1, 1] }),
    node('Relu', ['conv'], ['relu']),
    node('Conv', ['relu', 'w2'], ['conv_1'], { pads: [1, 1, 1, 1] }),
    node('Scale', ['conv_1', 'table'], ['scaled']),
    node('Relu', ['scaled'], ['y']),
  ],
};

function withNode(name: string, change: Partial<OnnxNode>): OnnxModel {
  return { ...model, nodes: model.nodes.map((n) => (n.outputs[0] === name ? { ...n, ...change } : n)) };
}

function withType(changed: NamedType): Pick<OnnxModel, 'values'> {
  return { values: model.values.map((value) => (value.name === changed.name ? changed : value)) };
}

/** The lines of the difference; on the way, texts must show the same as models. */
function lines(a: OnnxModel, b: OnnxModel): string[] {
  const difference = diffModels(a, b);
  expect(diffTexts(modelText(a), modelText(b))).to.deep.equal(difference);
  const text = formatDifference(difference, 'g');
  return text === '' ? [] : text.split('\n');
}

describe('onnx/diff', () => {
  it('equal models: no difference', () => {
    expect(lines(model, structuredClone(model))).to.deep.equal([]);
  });

  const single: [string, OnnxModel, string[]][] = [
    [
      'an attribute',
      withNode('conv_1', { attributes: { pads: [0, 0, 0, 0] } }),
      ['g: node conv_1 changed: attribute pads [1,1,1,1] -> [0,0,0,0]'],
    ],
    [
      'an attribute that comes',
      withNode('conv_1', { attributes: { pads: [1, 1, 1, 1], group: 2 } }),
      ['g: node conv_1 changed: attribute group (none) -> 2'],
    ],
    [
      'an edge',
      withNode('scaled', { inputs: ['relu', 'table'] }),
      ['g: node scaled changed: input 0 %conv_1 -> %relu'],
    ],
    [
      'an edge that goes',
      withNode('scaled', { inputs: ['conv_1'] }),
      ['g: node scaled changed: input 1 %table -> (none)'],
    ],
    ['an operator', withNode('relu', { opType: 'Elu' }), ['g: node relu changed: operator Relu -> Elu']],
    [
      'an output that comes',
      withNode('relu', { outputs: ['relu', 'mask'] }),
      ['g: node relu changed: output 1 (none) -> %mask'],
    ],
    [
      'a shape',
      { ...model, ...withType(float32('conv', 1, 4, 6, 6)) },
      ['g: node conv changed: type float32[1,4,8,8] -> float32[1,4,6,6]'],
    ],
    ['an opset', { ...model, opsets: { '': 18 } }, ['g: opset ai.onnx changed: 17 -> 18']],
    [
      'a graph input',
      { ...model, inputs: [float32('x', 2, 3, 8, 8), ...model.inputs.slice(1)] },
      ['g: input x changed: float32[1,3,8,8] -> float32[2,3,8,8]'],
    ],
    [
      'the order of graph inputs',
      { ...model, inputs: [model.inputs[0]!, model.inputs[2]!, model.inputs[1]!] },
      ['g: input changed: order %x, %w1, %w2 -> %x, %w2, %w1'],
    ],
    [
      'a graph output that comes',
      { ...model, outputs: [...model.outputs, float32('relu', 1, 4, 8, 8)] },
      ['g: output relu added: float32[1,4,8,8]'],
    ],
    [
      'the name of a constant',
      {
        ...withNode('scaled', { inputs: ['conv_1', 'lookup'] }),
        initializers: [{ ...table, name: 'lookup' }],
      },
      ['g: 1 value renamed, first %table -> %lookup'],
    ],
  ];
  for (const [title, changed, expected] of single) {
    it(`one change: ${title}`, () => {
      expect(lines(model, changed)).to.deep.equal(expected);
    });
  }

  it('one change: the content of a constant', () => {
    const data = { kind: 'inline', values: Float32Array.of(1, 3) } as const;
    const [line, ...rest] = lines(model, { ...model, initializers: [{ ...table, data }] });
    expect(line).to.match(
      /^g: constant table changed: float32\[2\] = sha256:\w{16} -> float32\[2\] = sha256:\w{16}$/,
    );
    expect(rest).to.deep.equal([]);
  });

  it('a constant before others: one addition, and the renumbered names in one line', () => {
    const constant = (name: string, ...values: number[]): Initializer => ({
      name,
      type: { dtype: 'float32', shape: [values.length] },
      data: { kind: 'inline', values: Float32Array.from(values) },
    });
    const scaled = (inputs: string[], ...initializers: Initializer[]) => ({
      ...withNode('scaled', { inputs: ['conv_1', ...inputs] }),
      initializers,
    });
    const two = scaled(['scale', 'scale_1'], constant('scale', 1, 2), constant('scale_1', 3, 4));
    const three = scaled(
      ['scale_1', 'scale_2'],
      constant('scale', 5, 6),
      constant('scale_1', 1, 2),
      constant('scale_2', 3, 4),
    );
    const [added, ...rest] = lines(two, three);
    expect(added).to.match(/^g: constant scale added: float32\[2\] = sha256:\w{16}$/);
    expect(rest).to.deep.equal(['g: 2 values renamed, first %scale -> %scale_1']);
    const [removed] = lines(three, two);
    expect(removed).to.match(/^g: constant scale removed: float32\[2\] = sha256:\w{16}$/);
  });

  it('a stride that shrinks all later shapes: the cause, the outputs, and one line for the consequences', () => {
    const small = ['conv', 'relu', 'conv_1', 'scaled'].map((name) => float32(name, 1, 4, 4, 4));
    const attributes = { pads: [1, 1, 1, 1], strides: [2, 2] };
    const strided = {
      ...withNode('conv', { attributes }),
      values: small,
      outputs: [float32('y', 1, 4, 4, 4)],
    };
    expect(lines(model, strided)).to.deep.equal([
      'g: output y changed: float32[1,4,8,8] -> float32[1,4,4,4]',
      'g: node conv changed: attribute strides (none) -> [2,2]',
      'g: node conv changed: type float32[1,4,8,8] -> float32[1,4,4,4]',
      'g: 4 nodes with other types in consequence, first node relu changed: type float32[1,4,8,8] -> float32[1,4,4,4]',
    ]);
  });

  it('a node before others of its kind: one addition, one edge, and the renumbered names in one line', () => {
    const inserted = {
      ...model,
      values: [...model.values, float32('conv_2', 1, 4, 8, 8), float32('stem', 1, 3, 8, 8)],
      nodes: [
        node('Conv', ['x', 'w0'], ['conv'], { pads: [0, 0, 0, 0] }),
        node('Conv', ['conv', 'w1'], ['conv_1'], { pads: [1, 1, 1, 1] }),
        node('Relu', ['conv_1'], ['relu']),
        node('Conv', ['relu', 'w2'], ['conv_2'], { pads: [1, 1, 1, 1] }),
        node('Scale', ['conv_2', 'table'], ['scaled']),
        node('Relu', ['scaled'], ['y']),
      ],
    };
    expect(lines(model, inserted)).to.deep.equal([
      'g: node conv_1 changed: input 0 %x -> %conv',
      'g: node conv added: %conv: float32[1,4,8,8] = Conv(%x, %w0) {pads=[0,0,0,0]}',
      'g: 2 values renamed, first %conv -> %conv_1',
    ]);
  });

  it('a removed node: the removal and the edge that skips it', () => {
    const removed = {
      ...model,
      nodes: [
        node('Conv', ['x', 'w1'], ['conv'], { pads: [1, 1, 1, 1] }),
        ...model.nodes
          .slice(2)
          .map((n) => ({ ...n, inputs: n.inputs.map((i) => (i === 'relu' ? 'conv' : i)) })),
      ],
    };
    expect(lines(model, removed)).to.deep.equal([
      'g: node relu removed: %relu: float32[1,4,8,8] = Relu(%conv)',
      'g: node conv_1 changed: input 0 %relu -> %conv',
    ]);
  });

  it('a removed node whose name passes to a later one: the removal, the edge, and the renaming', () => {
    const removed = {
      ...model,
      nodes: [
        node('Relu', ['x'], ['relu']),
        node('Conv', ['relu', 'w2'], ['conv'], { pads: [1, 1, 1, 1] }),
        node('Scale', ['conv', 'table'], ['scaled']),
        node('Relu', ['scaled'], ['y']),
      ],
    };
    expect(lines(model, removed)).to.deep.equal([
      'g: node conv removed: %conv: float32[1,4,8,8] = Conv(%x, %w1) {pads=[1,1,1,1]}',
      'g: node relu changed: input 0 %conv -> %x',
      'g: 1 value renamed, first %conv_1 -> %conv',
    ]);
  });

  it('two nodes that change places: moved', () => {
    const independent = {
      ...model,
      nodes: [model.nodes[0]!, node('Abs', ['x'], ['abs']), ...model.nodes.slice(1)],
    };
    const later = { ...model, nodes: [...model.nodes, node('Abs', ['x'], ['abs'])] };
    expect(lines(independent, later)).to.deep.equal(['g: 1 node moved, first abs']);
  });

  it('random edits: the difference is empty exactly if the texts are equal', () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed);
      const edited = edit(model, random, random.integer(3));
      const isEqual = modelText(model) === modelText(edited);
      expect(lines(model, edited).length === 0, `seed ${seed}`).to.equal(isEqual);
      expect(lines(edited, model).length === 0, `seed ${seed}, reversed`).to.equal(isEqual);
    }
  });
});

/** Changes, drops, doubles or swaps nodes and values at random. */
function edit(original: OnnxModel, random: Random, edits: number): OnnxModel {
  const edited = structuredClone(original) as { -readonly [K in keyof OnnxModel]: OnnxModel[K] };
  const names = ['x', 'w1', 'conv', 'conv_1', 'relu', 'scaled', 'y', ''];
  const pick = <T>(items: readonly T[]): T => items[random.integer(items.length)]!;
  for (let i = 0; i < edits; i++) {
    const nodes = [...edited.nodes];
    const place = random.integer(nodes.length);
    const chosen = nodes[place]!;
    const edit = random.integer(6);
    if (edit === 0) nodes.splice(place, 1);
    if (edit === 1)
      nodes.splice(place, 0, { ...chosen, outputs: [`${chosen.outputs[0]}_${random.integer(3)}`] });
    if (edit === 2) nodes.splice(place, 1, { ...chosen, inputs: chosen.inputs.map(() => pick(names)) });
    if (edit === 3)
      nodes.splice(place, 1, { ...chosen, outputs: [pick(names.slice(2, -1)), pick(['', 'extra'])] });
    if (edit === 4) nodes.push(...nodes.splice(place, 1));
    if (edit === 5) edited.values = edited.values.filter(() => random.uniform() < 0.8);
    edited.nodes = nodes;
  }
  return edited;
}
