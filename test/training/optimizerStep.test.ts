import { expect } from 'chai';
import { optimizerSchema, type OptimizerConfig } from '../../src/config/optimization.js';
import { Arena } from '../../src/engines/arena.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { parseConfig } from '../../src/config/load.js';
import { elementCount } from '../../src/onnx/model.js';
import type { Manifest, ParameterEntry, ParameterRole } from '../../src/programs/manifest.js';
import { updatePrograms } from '../../src/programs/update.js';
import { Random } from '../../src/random.js';
import { targets } from '../../src/targets/index.js';
import { OptimizerStep } from '../../src/training/optimizerStep.js';
import { TrainingState } from '../../src/training/state.js';
import { naiveUpdate } from '../optimizers/naiveUpdate.js';
import { expectClose } from '../support/expectClose.js';
import { normal } from '../support/samples.js';
import { openStepGraphs } from '../support/stepGraphs.js';

const labels = ['w1.00', 'w0.50'];
const both = { 'w1.00': [], 'w0.50': [] };
const narrow = { 'w0.50': [] };
const entry = (
  name: string,
  shape: readonly number[],
  role: ParameterRole,
  options: Partial<ParameterEntry> = {},
): ParameterEntry => ({ name, shape, role, layout: 'plain', decay: false, slices: both, ...options });

/** In arena order. Decayed: of both widths, then the sub-network's own; then the same of those that do not decay. */
const parameters = [
  entry('conv.weight', [10, 3, 3, 3], 'weight', { layout: 'OIHW16o', decay: true }),
  entry('bn.gamma', [7], 'gamma', { decay: true }),
  entry('fc.weight', [20, 30], 'weight', { decay: true }),
  entry('zero.weight', [3, 5], 'weight', { decay: true }),
  entry('narrow.weight', [4, 5], 'weight', { decay: true, slices: narrow }),
  entry('narrow.gamma', [3], 'gamma', { decay: true, slices: narrow }),
  entry('fc.bias', [9], 'bias'),
  entry('bn.beta', [7], 'beta'),
  entry('narrow.beta', [3], 'beta', { slices: narrow }),
];

/** Rate and whether all widths train, update by update; the sub-network's own parameters join at the third. */
const updates = [
  { learningRate: 0.1, allWidths: false, steps: { all: 1, narrow: 0 } },
  { learningRate: 0.05, allWidths: false, steps: { all: 2, narrow: 0 } },
  { learningRate: 0.2, allWidths: true, steps: { all: 3, narrow: 1 } },
  { learningRate: 0.1, allWidths: true, steps: { all: 4, narrow: 2 } },
];

/** A step on a real engine, over a state and gradients that are zero. */
async function open(optimizer: OptimizerConfig, entries: readonly ParameterEntry[]) {
  const config = parseConfig({ method: { kind: 'moco-v2', queueSize: 256, dimension: 2 }, optimizer });
  const manifest = {
    parameters: entries,
    labels,
    statistics: [] as const,
    graphs: [] as const,
  } as unknown as Manifest;
  const engine = await openEngine({ provider: 'cpu', threads: 1 });
  const state = new TrainingState(engine, manifest, config);
  const gradients = new Arena(engine, state.parameters.entries);
  const { cpu } = targets;
  const graphs = await openStepGraphs(
    engine,
    updatePrograms({ optimizer, runtime: { precision: 'float32' } }, false),
    { target: cpu },
  );
  const step = new OptimizerStep(graphs, optimizer, entries, state, gradients);
  return { state, gradients, step, close: () => engine.close() };
}

/** Random values, 0 where a layout pads. */
async function fill(arena: Arena, stream: number): Promise<void> {
  for (const [i, { name, shape }] of parameters.entries()) {
    await arena.write(name, Float32Array.from(normal(new Random(stream, i), elementCount(shape))));
  }
}

type Values = ReadonlyMap<string, Float32Array>;

/** A copy of an arena by its tensors. */
async function valuesOf(arena: Arena): Promise<Values> {
  const all = (await arena.readAll()).slice();
  return new Map(arena.entries.map(({ name }) => [name, arena.viewOf(name, all)]));
}

/** Runs all updates on arenas and in naive loops, and compares everything that they change; gives the parameters. */
async function expectUpdates(optimizer: OptimizerConfig): Promise<Values> {
  const { state, gradients, step, close } = await open(optimizer, parameters);
  try {
    await fill(state.parameters, 1);
    await state.parameters.write('zero.weight', new Float32Array(15));
    const start = await valuesOf(state.parameters);
    const naive = parameters.map(({ name }) => ({
      parameter: [...start.get(name)!],
      slots: Object.fromEntries(
        [...state.slots.keys()].map((slot) => [slot, new Array<number>(start.get(name)!.length).fill(0)]),
      ),
    }));
    for (const [u, update] of updates.entries()) {
      // What rests has a gradient here too, of an earlier step as it were: it must count for nothing.
      await fill(gradients, 2 + u);
      await step.run(update);

      const held = await valuesOf(gradients);
      const active = parameters.filter(({ slices }) => update.allWidths || slices === both);
      const squares = active.flatMap(({ name }) => [...held.get(name)!]).reduce((sum, g) => sum + g * g, 0);
      const { clipNorm, weightDecay } = optimizer;
      const scale = clipNorm > 0 ? Math.min(1, clipNorm / (Math.sqrt(squares) + 1e-6)) : 1;
      const after = await valuesOf(state.parameters);
      for (const [i, entry] of parameters.entries()) {
        const { name, role, decay, slices } = entry;
        if (active.includes(entry)) {
          const gradient = [...held.get(name)!].map((g) => g * scale);
          naiveUpdate(optimizer, naive[i]!, gradient, role === 'weight', {
            rate: update.learningRate,
            decay: decay ? weightDecay : 0,
            t: slices === both ? update.steps.all : update.steps.narrow,
          });
        }
        expectClose([...after.get(name)!], naive[i]!.parameter, 1e-6);
        for (const [slot, arena] of state.slots) {
          expectClose([...(await arena.read(name))], naive[i]!.slots[slot]!, 1e-6);
        }
      }
    }
    return await valuesOf(state.parameters);
  } finally {
    await close();
  }
}

const longLength = 600_000;

/** One weight of ones; the gradient is 1 in its first half and 3 in its second, so that sums of squares are exact. */
async function openLong(input: object) {
  const long = entry('long.weight', [600, 1000], 'weight');
  const { state, gradients, step, close } = await open(optimizerSchema.parse(input), [long]);
  await state.parameters.writeAll(new Float32Array(longLength).fill(1));
  await gradients.writeAll(new Float32Array(longLength).fill(1).fill(3, longLength / 2));
  return { state, step, close };
}

describe('OptimizerStep', () => {
  const decayed = { weightDecay: 0.05 };
  const cases: [string, object][] = [
    ['SGD', { kind: 'sgd', ...decayed }],
    ['SGD, Nesterov, clipped', { kind: 'sgd', nesterov: true, clipNorm: 10, ...decayed }],
    ['LARS', { kind: 'lars', trust: 0.02, ...decayed }],
    ['LARS, clipped', { kind: 'lars', trust: 0.02, clipNorm: 10, ...decayed }],
    ['AdamW', { kind: 'adamw', ...decayed }],
    ['AdamW, clipped', { kind: 'adamw', epsilon: 0.1, clipNorm: 10, ...decayed }],
  ];
  for (const [title, input] of cases) {
    it(`${title}: four updates, two of the full width alone, equal the naive loop`, async () => {
      const trained = await expectUpdates(optimizerSchema.parse(input));
      // Of the 16 channels of its blocks the convolution has 10.
      const padding = trained.get('conv.weight')!.subarray(10 * 27);
      expect(padding.length).to.equal(6 * 27);
      expect(padding.every((x) => x === 0)).to.equal(true);
    });
  }

  it('LARS, a weight longer than a piece: its norms are those of the whole tensor', async () => {
    const { state, step, close } = await openLong({ kind: 'lars', momentum: 0, trust: 0.02, weightDecay: 0 });
    await step.run({ learningRate: 0.5, allWidths: true, steps: { all: 1, narrow: 1 } });
    // |p| / |g| is 1 / sqrt(5).
    const moved = (await state.parameters.readAll()).map((p) => (1 - p) / (0.01 / Math.sqrt(5)));
    await close();
    expectClose([moved[0]!, moved[longLength - 1]!], [1, 3], 1e-5);
  });

  it('gradients longer than a piece: their norm is that of all', async () => {
    const { state, step, close } = await openLong({ kind: 'sgd', momentum: 0, clipNorm: 10, weightDecay: 0 });
    await step.run({ learningRate: 1, allWidths: true, steps: { all: 1, narrow: 1 } });
    const scale = 10 / Math.sqrt(5 * longLength);
    const moved = (await state.parameters.readAll()).map((p) => (1 - p) / scale);
    await close();
    expectClose([moved[0]!, moved[longLength - 1]!], [1, 3], 1e-4);
  });

  it('a norm that the gradients stay below changes nothing', async () => {
    const free = await expectUpdates(optimizerSchema.parse({ kind: 'sgd' }));
    const bounded = await expectUpdates(optimizerSchema.parse({ kind: 'sgd', clipNorm: 1e6 }));
    expect(bounded).to.deep.equal(free);
  });
});
