import { expect } from 'chai';
import { optimizerSchema, type OptimizerConfig } from '../../src/config/optimization.js';
import { parseConfig } from '../../src/config/load.js';
import { elementCount } from '../../src/onnx/model.js';
import type { Manifest, ParameterEntry, ParameterRole } from '../../src/programs/manifest.js';
import { updatePrograms } from '../../src/programs/update.js';
import { Random } from '../../src/random.js';
import { Arena } from '../../src/runtime/arena.js';
import type { Session } from '../../src/runtime/session.js';
import { targets } from '../../src/targets/index.js';
import { OptimizerStep } from '../../src/training/optimizerStep.js';
import { TrainingState } from '../../src/training/state.js';
import { naiveUpdate } from '../optimizers/naiveUpdate.js';
import { expectClose } from '../support/expectClose.js';
import { openSession } from '../support/openSession.js';
import { normal } from '../support/samples.js';

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

/** A step with real sessions, over a state and gradients that are zero. */
async function open(optimizer: OptimizerConfig, entries: readonly ParameterEntry[]) {
  const config = parseConfig({ method: { kind: 'moco-v2', queueSize: 256, dimension: 2 }, optimizer });
  const manifest = {
    parameters: entries,
    labels,
    statistics: [] as const,
    graphs: [] as const,
  } as unknown as Manifest;
  const state = new TrainingState(manifest, config);
  const gradients = new Arena(state.parameters.entries);
  const { cpu } = targets;
  const sessions = new Map<string, Session>();
  for (const program of updatePrograms({ optimizer, runtime: { precision: 'float32' } }, false)) {
    const options = { target: cpu, optimization: cpu.optimization };
    sessions.set(program.name, await openSession(program, options));
  }
  const step = new OptimizerStep(sessions, optimizer, entries, state, gradients);
  const close = async () => {
    for (const session of sessions.values()) await session.close();
  };
  return { state, gradients, step, close };
}

/** Random values, 0 where a layout pads. */
function fill(arena: Arena, stream: number): void {
  for (const [i, { name, shape }] of parameters.entries()) {
    arena.view(name).set(normal(new Random(stream, i), elementCount(shape)));
  }
}

/** Runs all updates on arenas and in naive loops, and compares everything that they change. */
async function expectUpdates(optimizer: OptimizerConfig): Promise<TrainingState> {
  const { state, gradients, step, close } = await open(optimizer, parameters);
  fill(state.parameters, 1);
  state.parameters.view('zero.weight').fill(0);
  const held = (arena: Arena, name: string) => Array.from(arena.view(name));
  const naive = parameters.map(({ name }) => ({
    parameter: held(state.parameters, name),
    slots: Object.fromEntries(Array.from(state.slots, ([slot, arena]) => [slot, held(arena, name)])),
  }));
  try {
    for (const [u, update] of updates.entries()) {
      // What rests has a gradient here too, of an earlier step as it were: it must count for nothing.
      fill(gradients, 2 + u);
      await step.run(update);

      const active = parameters.filter(({ slices }) => update.allWidths || slices === both);
      const squares = active.flatMap(({ name }) => held(gradients, name)).reduce((sum, g) => sum + g * g, 0);
      const { clipNorm, weightDecay } = optimizer;
      const scale = clipNorm > 0 ? Math.min(1, clipNorm / (Math.sqrt(squares) + 1e-6)) : 1;
      for (const [i, entry] of parameters.entries()) {
        const { name, role, decay, slices } = entry;
        if (active.includes(entry)) {
          const gradient = held(gradients, name).map((g) => g * scale);
          naiveUpdate(optimizer, naive[i]!, gradient, role === 'weight', {
            rate: update.learningRate,
            decay: decay ? weightDecay : 0,
            t: slices === both ? update.steps.all : update.steps.narrow,
          });
        }
        expectClose(held(state.parameters, name), naive[i]!.parameter, 1e-6);
        for (const [slot, arena] of state.slots) expectClose(held(arena, name), naive[i]!.slots[slot]!, 1e-6);
      }
    }
  } finally {
    await close();
  }
  return state;
}

const longLength = 600_000;

/** One weight of ones; the gradient is 1 in its first half and 3 in its second, so that sums of squares are exact. */
async function openLong(input: object) {
  const long = entry('long.weight', [600, 1000], 'weight');
  const { state, gradients, step, close } = await open(optimizerSchema.parse(input), [long]);
  state.parameters.data.fill(1);
  gradients.data.fill(1).fill(3, longLength / 2);
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
      const state = await expectUpdates(optimizerSchema.parse(input));
      // Of the 16 channels of its blocks the convolution has 10.
      const padding = state.parameters.view('conv.weight').subarray(10 * 27);
      expect(padding.length).to.equal(6 * 27);
      expect(padding.every((x) => x === 0)).to.equal(true);
    });
  }

  it('LARS, a weight longer than a piece: its norms are those of the whole tensor', async () => {
    const { state, step, close } = await openLong({ kind: 'lars', momentum: 0, trust: 0.02, weightDecay: 0 });
    await step.run({ learningRate: 0.5, allWidths: true, steps: { all: 1, narrow: 1 } });
    await close();
    // |p| / |g| is 1 / sqrt(5).
    const moved = state.parameters.data.map((p) => (1 - p) / (0.01 / Math.sqrt(5)));
    expectClose([moved[0]!, moved[longLength - 1]!], [1, 3], 1e-5);
  });

  it('gradients longer than a piece: their norm is that of all', async () => {
    const { state, step, close } = await openLong({ kind: 'sgd', momentum: 0, clipNorm: 10, weightDecay: 0 });
    await step.run({ learningRate: 1, allWidths: true, steps: { all: 1, narrow: 1 } });
    await close();
    const scale = 10 / Math.sqrt(5 * longLength);
    const moved = state.parameters.data.map((p) => (1 - p) / scale);
    expectClose([moved[0]!, moved[longLength - 1]!], [1, 3], 1e-4);
  });

  it('a norm that the gradients stay below changes nothing', async () => {
    const free = await expectUpdates(optimizerSchema.parse({ kind: 'sgd' }));
    const bounded = await expectUpdates(optimizerSchema.parse({ kind: 'sgd', clipNorm: 1e6 }));
    expect(Buffer.compare(bytes(free.parameters), bytes(bounded.parameters))).to.equal(0);
  });
});

function bytes({ data }: Arena): Buffer {
  return Buffer.from(data.buffer);
}
