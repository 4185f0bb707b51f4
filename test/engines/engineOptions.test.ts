import { expect } from 'chai';
import { loadConfig } from '../../src/config/load.js';
import { cudaProviderOptions } from '../../src/engines/cuda/providerOptions.js';
import { replicaOptions, threadCount } from '../../src/engines/engineOptions.js';

describe('what a replica runs on', () => {
  const runtimeOf = (set: readonly string[]) =>
    loadConfig({ set: ['accumulation=4', 'runtime.replicas=4', ...set] }).runtime;

  for (const engine of [
    ['runtime.engine=python', 'runtime.python=py'],
    ['runtime.engine=in-process', 'runtime.library=libonnxruntime.so'],
  ]) {
    it(`${engine[0]!}: CUDA devices from the first that is asked for, one each`, () => {
      for (const first of [0, 2]) {
        const runtime = runtimeOf([...engine, 'runtime.provider=cuda', `runtime.cuda.device=${first}`]);
        const options = [0, 1, 2, 3].map((rank) => replicaOptions(runtime, rank));
        expect(options.map(({ device }) => device)).to.deep.equal([0, 1, 2, 3].map((rank) => first + rank));
        // What ONNX Runtime is told.
        const told = options.map((each) => cudaProviderOptions(each)['device_id']);
        expect(told).to.deep.equal([0, 1, 2, 3].map((rank) => String(first + rank)));
        for (const each of options) {
          expect(each).to.include({
            engine: runtime.engine,
            python: runtime.python,
            library: runtime.library,
          });
        }
      }
    });
  }

  it('an equal share of the cores, or the threads that a config names', () => {
    const shared = replicaOptions(runtimeOf([]), 1).threads;
    expect(shared).to.equal(Math.max(1, Math.floor(threadCount({ threads: 0 }) / 4)));
    expect(replicaOptions(runtimeOf(['runtime.threads=3']), 1).threads).to.equal(3);
  });
});
