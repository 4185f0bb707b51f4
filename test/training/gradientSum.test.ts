import { expect } from 'chai';
import { emitMethod } from '../../src/methods/index.js';
import { elementCount, encodeModel } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import { Session } from '../../src/runtime/session.js';
import { GradientSum } from '../../src/training/gradientSum.js';
import { TrainingState } from '../../src/training/state.js';
import { tinyConfig } from '../programs/tiny.js';

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
    const { entry, model } = programs.find(({ entry }) => entry.kind === 'combine')!;
    const session = await Session.of(entry, encodeModel(model), { provider: 'cpu', threads: 1 });
    await gradients.combine(session);
    await session.close();
    for (const [name, sum] of expected) expect([...gradients.arena.view(name)], name).to.deep.equal(sum);
  });

  it('the full width alone: its gradients are in the arena without a sum', () => {
    const gradients = new GradientSum(manifest, parameters);
    const fetches = gradients.fetches(queries[0]!, false);
    expect(fetches['grad.head.fc1.weight']).to.equal(gradients.arena.tensor('head.fc1.weight'));
  });
});

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
