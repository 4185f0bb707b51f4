import { expect } from 'chai';
import { emitMethod } from '../../src/methods/index.js';
import { elementCount } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { Random } from '../../src/random.js';
import type { EmittedPrograms } from '../../src/programs/folder.js';
import type { Engine, Place } from '../../src/engines/engine.js';
import { floats, HostGraph } from '../../src/engines/hostGraph.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { cpuTarget } from '../../src/targets/cpu/index.js';
import { GradientSum } from '../../src/training/gradientSum.js';
import { TrainingState } from '../../src/training/state.js';
import { StepGraphs } from '../../src/training/steps/stepGraphs.js';
import { tinyConfig } from '../programs/tiny.js';
import { normal } from '../support/samples.js';

const config = tinyConfig({ widths: [1, 0.75, 0.5], accumulation: 2, runtime: { target: 'portable' } });

describe('GradientSum', () => {
  const emitted = emitMethod(config);
  const { manifest } = emitted;
  const queries = manifest.graphs.filter(({ kind }) => kind === 'query');
  let engine: Engine;
  before(async () => (engine = await openEngine({ provider: 'cpu', threads: 2 })));
  after(() => engine.close());

  it('widths 1, 0.75 and 0.5: what they write adds up in place, each at its leading block; then passes', async () => {
    const { parameters } = new TrainingState(engine, manifest, config);
    const graphs = await openGraphs(engine, emitted);
    const gradients = new GradientSum(manifest, parameters, graphs);
    const expected = new Map(parameters.entries.map(({ name, shape }) => [name, zeros(shape)]));
    for (const step of [0, 1]) {
      gradients.begin();
      for (const sum of expected.values()) sum.fill(0);
      for (const pass of [0, 1, 2]) {
        for (const [stream, query] of queries.entries()) {
          const random = new Random(7, step, pass, stream);
          const places = gradients.outputs(query, true);
          for (const { name, of } of query.outputs) {
            if (!(name in places)) continue;
            const { memory, offset, shape: block } = places[name] as Place<'float32'>;
            const { shape } = parameters.entries.find((entry) => entry.name === of)!;
            const values = Float32Array.from({ length: elementCount(block) }, () =>
              Math.floor(100 * random.normal()),
            );
            for (const [i, value] of values.entries()) expected.get(of!)![placeIn(shape, block, i)]! += value;
            await engine.write(memory, values, offset);
          }
        }
        await graphs.run(gradients.end(true));
      }
      for (const [name, sum] of expected) {
        expect([...(await gradients.total.read(name))], name).to.deep.equal(sum);
      }
    }
    await graphs.close();
  });

  it('blocked gradients on the cpu target: in place as in new memory', async () => {
    // Whole blocks, parts of one, and all of a parameter; the stem, convolutions and a head.
    const emitted = emitMethod(config, cpuTarget(16));
    const { manifest, programs } = emitted;
    expect(manifest.parameters.filter(({ layout }) => layout !== 'plain')).to.have.length.above(10);
    const graphs = await openGraphs(engine, emitted);
    const { parameters } = new TrainingState(engine, manifest, config);
    const gradients = new GradientSum(manifest, parameters, graphs);
    const random = new Random(8, 0);
    const sums: Record<string, TensorData> = {};
    for (const { name, shape } of gradients.total.entries) {
      const values = Float32Array.from(normal(random, elementCount(shape)));
      await gradients.total.write(name, values);
      sums[name] = floats(values, shape);
    }
    for (const { entry, model } of programs.filter(({ entry }) => entry.kind === 'combine')) {
      const graph = await HostGraph.open(model, engine, { name: entry.name, optimization: 'disabled' });
      const feeds: Record<string, TensorData> = {};
      for (const { name, shape } of entry.inputs) {
        const [kind, ...rest] = name.split('.');
        const of = rest.join('.');
        if (kind === 'sum') feeds[name] = floats(sums[of]!.data as Float32Array, shape as number[]);
        else {
          const { memory, offset } = gradients.blockPlace(entry.width!, of);
          const values = Float32Array.from(normal(random, elementCount(shape as number[])));
          await engine.write(memory, values, offset);
          feeds[name] = floats(values, shape as number[]);
        }
      }
      const results = await graph.run(feeds);
      for (const { name, of } of entry.outputs) sums[of!] = results[name]!;
      await graph.close();
    }
    gradients.begin();
    await graphs.run(gradients.end(true));
    await graphs.close();
    for (const [name, { data }] of Object.entries(sums)) {
      expect([...(await gradients.total.read(name))], name).to.deep.equal([...(data as Float32Array)]);
    }
  });

  it('the full width alone: its gradients are in the arena without a sum', async () => {
    const { parameters } = new TrainingState(engine, manifest, config);
    const graphs = await openGraphs(engine, emitted);
    const gradients = new GradientSum(manifest, parameters, graphs);
    const places = gradients.outputs(queries[0]!, false);
    expect(places['grad.head.fc1.weight']).to.deep.equal(gradients.total.place('head.fc1.weight'));
    expect(gradients.end(false)).to.deep.equal([]);
    await graphs.close();
  });
});

/** The graphs that add gradients up. */
function openGraphs(engine: Engine, { manifest, programs }: EmittedPrograms): Promise<StepGraphs> {
  const sums = programs.filter(({ entry }) => entry.kind === 'combine' || entry.kind === 'accumulate');
  return StepGraphs.of(engine, sums, manifest);
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
