import { expect } from 'chai';
import { emitMethod } from '../../src/methods/index.js';
import { elementCount, encodeModel } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import type { EmittedPrograms } from '../../src/programs/folder.js';
import { floatTensor, Session, type Tensor } from '../../src/runtime/session.js';
import { cpuTarget } from '../../src/targets/cpu/index.js';
import { GradientSum } from '../../src/training/gradientSum.js';
import { TrainingState } from '../../src/training/state.js';
import { tinyConfig } from '../programs/tiny.js';
import { normal } from '../support/samples.js';

const config = tinyConfig({ widths: [1, 0.75, 0.5], runtime: { target: 'portable' } });

describe('GradientSum', () => {
  const { manifest, programs } = emitMethod(config);
  const queries = manifest.graphs.filter(({ kind }) => kind === 'query');
  const { parameters } = new TrainingState(manifest, config);

  it('widths 1, 0.75 and 0.5: what they write adds up in place, each at its leading block', async () => {
    const gradients = new GradientSum(manifest, parameters);
    const expected = new Map(parameters.entries.map(({ name, shape }) => [name, zeros(shape)]));
    for (const [stream, query] of queries.entries()) {
      const random = new Random(7, stream);
      const fetches = gradients.fetches(query, true);
      for (const { name, of } of query.outputs) {
        if (!(name in fetches)) continue;
        const { data, dims } = fetches[name]!;
        const { shape } = parameters.entries.find((entry) => entry.name === of)!;
        const values = data as Float32Array;
        for (let i = 0; i < values.length; i++) {
          values[i] = Math.floor(100 * random.normal());
          expected.get(of!)![placeIn(shape, dims, i)]! += values[i]!;
        }
      }
    }
    const sessions = await openCombines(programs);
    await gradients.combine(sessions);
    for (const session of sessions.values()) await session.close();
    for (const [name, sum] of expected) expect([...gradients.arena.view(name)], name).to.deep.equal(sum);
  });

  it('blocked gradients on the cpu target: in place as in new memory', async () => {
    // Whole blocks, parts of one, and all of a parameter; the stem, convolutions and a head.
    const { manifest, programs } = emitMethod(config, cpuTarget(16));
    expect(manifest.parameters.filter(({ layout }) => layout !== 'plain')).to.have.length.above(10);
    const gradients = new GradientSum(manifest, new TrainingState(manifest, config).parameters);
    const random = new Random(8, 0);
    const sums: Record<string, Tensor> = {};
    for (const { name, shape } of gradients.arena.entries) {
      gradients.arena.view(name).set(normal(random, elementCount(shape)));
      sums[name] = floatTensor(gradients.arena.view(name).slice(), shape);
    }
    const sessions = await openCombines(programs);
    for (const session of sessions.values()) {
      const { width, inputs, outputs } = session.entry;
      const feeds: Record<string, Tensor> = {};
      for (const { name, shape } of inputs) {
        const [kind, ...rest] = name.split('.');
        const of = rest.join('.');
        if (kind === 'sum') feeds[name] = sums[of]!;
        else {
          const block = gradients.block(width!, of);
          (block.data as Float32Array).set(normal(random, elementCount(shape)));
          feeds[name] = block;
        }
      }
      const results = await session.run(feeds);
      for (const { name, of } of outputs) sums[of!] = results[name]!.reshape(sums[of!]!.dims);
    }
    await gradients.combine(sessions);
    for (const session of sessions.values()) await session.close();
    for (const [name, { data }] of Object.entries(sums)) {
      expect([...gradients.arena.view(name)], name).to.deep.equal([...(data as Float32Array)]);
    }
  });

  it('the full width alone: its gradients are in the arena without a sum', () => {
    const gradients = new GradientSum(manifest, parameters);
    const fetches = gradients.fetches(queries[0]!, false);
    expect(fetches['grad.head.fc1.weight']).to.equal(gradients.arena.tensor('head.fc1.weight'));
  });
});

async function openCombines(programs: EmittedPrograms['programs']): Promise<Map<string, Session>> {
  const sessions = new Map<string, Session>();
  for (const { entry, model } of programs.filter(({ entry }) => entry.kind === 'combine')) {
    sessions.set(
      entry.name,
      await Session.of(entry, encodeModel(model), { provider: 'cpu', threads: 2, optimization: 'disabled' }),
    );
  }
  return sessions;
}

function zeros(shape: readonly number[]): number[] {
  return new Array<number>(elementCount(shape)).fill(0);
}

/** Where element i of a leading block lies in the whole tensor. */
function placeIn(shape: readonly number[], block: readonly number[], i: number): number {
  let [rest, place, stride] = [i, 0, 1];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    place += (rest % block[axis]!) * stride;
    rest = Math.floor(rest / block[axis]!);
    stride *= shape[axis]!;
  }
  return place;
}
