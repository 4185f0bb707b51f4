import { expect } from 'chai';
import { loadConfig } from '../../../src/config/load.js';
import { presets } from '../../../src/config/presets.js';
import { Graph } from '../../../src/graph/graph.js';
import { emitMethod, networkOf } from '../../../src/methods/index.js';
import type { OnnxModel } from '../../../src/onnx/model.js';
import { Builder } from '../../../src/ops/builder.js';
import { emitPrograms } from '../../../src/programs/folder.js';
import { finetuneProgram } from '../../../src/programs/finetune.js';
import { cudaTarget } from '../../../src/targets/cuda/index.js';
import { emit } from '../../../src/targets/emit.js';
import { ortTraining } from '../../../src/targets/ortTraining/index.js';
import {
  missingKernels,
  nodeKinds,
  readKernelTable,
  trainingVersion,
} from '../../../tools/gpu/kernelTable.js';
import { allCases } from '../../../tools/reference/cases.js';

const table = readKernelTable();
const versions = Object.keys(table.kernels).filter((version) => version !== trainingVersion);

function expectKernels(models: readonly OnnxModel[], of: readonly string[] = versions): void {
  const kinds = nodeKinds(models);
  expect(kinds).to.not.be.empty;
  for (const version of of) {
    expect(missingKernels(kinds, version, table), `onnxruntime-gpu ${version}`).to.deep.equal([]);
  }
}

describe(`kernels of the CUDA provider, onnxruntime-gpu ${versions.join(', ')}`, function () {
  this.timeout(120_000);

  for (const preset of Object.keys(presets)) {
    for (const precision of ['float32', 'float16']) {
      it(`${preset}, ${precision}: every node of every graph has one`, () => {
        const config = loadConfig({
          preset,
          set: ['runtime.target=cuda', `runtime.precision=${precision}`],
        });
        expectKernels(emitMethod(config).programs.map(({ model }) => model));
      });
    }
  }

  for (const precision of ['float32', 'float16']) {
    it(`target ort-training, ${precision}: every node of every preset has one in the build for training`, () => {
      for (const preset of Object.keys(presets)) {
        const config = loadConfig({ preset, set: [`runtime.precision=${precision}`] });
        const { programs } = emitMethod(config, ortTraining({ cuda: true }));
        const models = programs.map(({ model }) => model);
        expectKernels(models, [trainingVersion]);
        // It is no other build's.
        expect(missingKernels(nodeKinds(models), versions[0]!, table).join()).to.match(/ConvGrad/);
      }
    });
  }

  it('every method with every technique and optimiser: so has every node', () => {
    // Two widths have all that four have; channels of their own are another case.
    const cases = allCases('resnet20').filter(({ title }) => !/non-overlapping|slow start/.test(title));
    for (const [at, { config }] of cases.entries()) {
      const precision = at % 2 === 0 ? 'float32' : 'float16';
      const runtime = { ...config.runtime, target: 'cuda', precision } as const;
      const { programs } = emitMethod({ ...config, widths: config.widths.slice(0, 2), runtime });
      expectKernels(programs.map(({ model }) => model));
    }
  });

  it('fine-tuning: so has every node', () => {
    const config = loadConfig({ preset: 'cifar10-resnet20', set: ['batchSize=4'] });
    const network = networkOf(config);
    const program = finetuneProgram(network, config, 1, 5);
    const { programs } = emitPrograms(network, config, cudaTarget(), [program]);
    expectKernels(programs.map(({ model }) => model));
  });

  it('an operator without a kernel, a type without one, an unknown version: told with the node', () => {
    const graph = new Graph('odd');
    const b = new Builder(graph);
    const x = graph.input('x', { dtype: 'float32', shape: [2, 3] });
    graph.output('y', b.op('LogSoftmax', [x], { axis: 1 }));
    const model = emit(graph, { opset: 17, version: '0' });
    const [version] = versions;
    const missing = (changed: Partial<OnnxModel>, of = version!) =>
      missingKernels(nodeKinds([{ ...model, ...changed }]), of, table);
    expect(missing({})).to.deep.equal([]);
    expect(missing({}, '0.0.0')).to.deep.equal(['LogSoftmax(float32) -> float32, e.g. LogSoftmax']);
    const int64 = (values: OnnxModel['inputs']) =>
      values.map(({ name, type }) => ({ name, type: { ...type, dtype: 'int64' as const } }));
    const integers = { inputs: int64(model.inputs), outputs: int64(model.outputs) };
    expect(missing(integers)).to.deep.equal(['LogSoftmax(int64) -> int64, e.g. LogSoftmax']);
    const foreign = { nodes: model.nodes.map((node) => ({ ...node, domain: 'com.example' })) };
    expect(missing(foreign)).to.deep.equal(['com.example.LogSoftmax(float32) -> float32, e.g. LogSoftmax']);
  });
});
