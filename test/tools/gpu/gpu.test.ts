import { expect } from 'chai';
import { SlimclrError } from '../../../src/errors.js';
import { largestError, problemOf, provedPresets } from '../../../tools/gpu/prove.js';
import { formatKernels, formatProof, formatTiming } from '../../../tools/gpu/report.js';
import { configOf, reference, setupsOf } from '../../../tools/gpu/setups.js';
import { byOperator } from '../../../tools/gpu/trace.js';

describe('tools/gpu', () => {
  const places = { library: '', python: 'py', training: 'tr', webgpu: true } as const;

  it('on a CPU every engine is there; on a GPU the one in process needs a library', () => {
    const titles = (device: 'cpu' | 'cuda', library = '') =>
      setupsOf({ ...places, device, library }).map(({ title }) => title);
    const others = ['Python, stock', 'Python, training', 'WebGPU'];
    expect(titles('cpu')).to.deep.equal(['in process', ...others]);
    expect(titles('cuda')).to.deep.equal(others);
    expect(titles('cuda', 'libonnxruntime.so')).to.deep.equal(['in process', ...others]);
  });

  it('what a setup sets is a config that is accepted, also where numbers are compared', () => {
    for (const device of ['cpu', 'cuda'] as const) {
      for (const setup of setupsOf({ ...places, device, library: 'libonnxruntime.so' })) {
        for (const preset of [...provedPresets, 'imagenet-resnet50']) {
          const { runtime } = configOf(preset, setup.exact, setup);
          expect(runtime.provider).to.equal(setup.device);
          expect(runtime.cuda.tf32).to.equal(device === 'cpu' || setup.device === 'webgpu');
        }
      }
    }
    expect(configOf('images', [], reference).runtime.target).to.equal('portable');
  });

  it('losses: the largest relative difference; one that is missing or not a number is none', () => {
    expect(
      largestError(
        [
          [1, 2.2],
          [3, 4],
        ],
        [
          [1, 2],
          [3, 4],
        ],
      ),
    ).to.be.closeTo(0.1, 1e-12);
    expect(largestError([[1]], [[1, 2]])).to.be.NaN;
    expect(largestError([[NaN, 2]], [[1, 2]])).to.be.NaN;
  });

  it('lines: within its bound, outside, not a number, not run', () => {
    const proof = { preset: 'p', setup: 's', precision: 'float32', error: 1e-6, bound: 1e-5 } as const;
    expect(formatProof(proof)).to.match(/1\.0e-6 of 1e-5 {2}ok$/);
    expect(formatProof({ ...proof, error: 1e-4 })).to.match(/WRONG$/);
    expect(formatProof({ ...proof, error: NaN })).to.match(/WRONG$/);
    expect(formatProof({ ...proof, error: null, problem: 'no driver' })).to.match(/did not run: no driver$/);
    const timing = {
      precision: 'float16',
      ...{ side: 'in process', batchSize: 64, seconds: [0.1, 0.3, 0.2] },
      ...{ imagesPerSecond: 320, ratio: 0.95, traffic: { written: 150, read: 8, images: 100 } },
    } as const;
    expect(formatTiming(timing)).to.match(
      /200\.0 ms +320\.0 images\/s +0\.95 of PyTorch {2}50 B written .* 8 B read$/,
    );
  });

  it('kernels: added up by operator and pass, copies between host and device told', () => {
    const kernel = (operator: string, layer: string, milliseconds: number) =>
      ({ operator, layer, pass: 'backward', calls: 5, milliseconds }) as const;
    const kernels = [kernel('Gemm', 'a', 10), kernel('Gemm', 'b', 5), kernel('Relu', 'a', 1)];
    const operators = byOperator(kernels);
    expect(operators.map(({ operator, milliseconds }) => [operator, milliseconds])).to.deep.equal([
      ['Gemm', 15],
      ['Relu', 1],
    ]);
    expect(formatKernels(operators, kernels, 2)).to.match(/3\.000 ms +93\.8 % +2 calls {2}Gemm backward\n/);
    expect(formatKernels(operators, kernels, 2)).to.match(/no copy between host and device$/);
    const copied = [...kernels, kernel('MemcpyToHost', '', 2)];
    expect(formatKernels(byOperator(copied), copied, 2)).to.match(/MemcpyToHost backward$/);
  });

  it('a refusal is a line, anything else a fault', () => {
    expect(problemOf(new SlimclrError('no driver'))).to.equal('no driver');
    expect(() => problemOf(new TypeError('undefined'))).to.throw(TypeError);
  });
});
