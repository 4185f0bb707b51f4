import { expect } from 'chai';
import { cudaProvider, refuseWithoutProvider, shareArena } from '../../src/engines/cuda/cudaProvider.js';
import { refuseWithoutDevice } from '../../src/engines/cuda/driver.js';
import { cudaProviderOptions } from '../../src/engines/cuda/providerOptions.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { ortLibrary } from '../../src/engines/ortLibrary.js';
import { SlimclrError } from '../../src/errors.js';
import { rejection } from '../support/rejection.js';
import { engineSuite } from './suite.js';

/** Why there is no CUDA engine in process here; null where there is. */
function absent(): Promise<string | null> {
  try {
    cudaProvider(ortLibrary(process.env['SLIMCLR_CUDA_LIBRARY']), { provider: 'cuda', threads: 1 });
    return Promise.resolve(null);
  } catch (error) {
    return Promise.resolve((error as Error).message);
  }
}

const library = process.env['SLIMCLR_CUDA_LIBRARY'] ?? '';

engineSuite({
  title: 'in process, cuda, of the library SLIMCLR_CUDA_LIBRARY',
  absent,
  open: () => openEngine({ provider: 'cuda', threads: 1, library }),
});

describe('CUDA in process', () => {
  it('a machine without it: one line, and the process goes on', async function () {
    if ((await absent()) === null) return this.skip();
    const error = await rejection(openEngine({ provider: 'cuda', threads: 1 }));
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.match(/^[^\n]*; accepted[^\n]*$/);
  });

  it('without a driver, or with a library that is none', () => {
    const absent = 'libno-such-driver.so.1';
    expect(() => refuseWithoutDevice(0, absent)).to.throw(
      /^no NVIDIA driver is here \(libno-such-driver\.so\.1: [^\n]*\); accepted for runtime\.provider "cuda": a machine with/,
    );
    expect(() => refuseWithoutDevice(0, process.execPath)).to.throw(/^no NVIDIA driver is here /);
  });

  it('libraries of ONNX Runtime without the provider', () => {
    const { api, version } = ortLibrary();
    expect(() => refuseWithoutProvider({ api, version, path: '/nowhere/libonnxruntime.so' })).to.throw(
      /^\/nowhere\/libonnxruntime\.so: (this ONNX Runtime \S+ is built without CUDA|without \S+ beside it, which has the CUDA provider); accepted: runtime\.library/,
    );
    const without = { ...api, providers: () => ['CPUExecutionProvider'] };
    expect(() => refuseWithoutProvider({ api: without, version, path: '/a.so' })).to.throw(
      /is built without CUDA/,
    );
  });

  it('options as ONNX Runtime names them', () => {
    expect(cudaProviderOptions({})).to.deep.equal({
      device_id: '0',
      arena_extend_strategy: 'kSameAsRequested',
      cudnn_conv_algo_search: 'HEURISTIC',
      use_tf32: '1',
      enable_cuda_graph: '0',
    });
    const cuda = {
      device: 2,
      memoryLimit: 2 ** 30,
      convolutionSearch: 'exhaustive',
      tf32: false,
      graphs: true,
    } as const;
    expect(cudaProviderOptions({ cuda })).to.include({
      device_id: '2',
      gpu_mem_limit: '1073741824',
      cudnn_conv_algo_search: 'EXHAUSTIVE',
      use_tf32: '0',
      enable_cuda_graph: '1',
    });
    expect(cudaProviderOptions({ device: 3, cuda })['device_id']).to.equal('3');
  });

  it('an arena that sessions share is taken for a provider that there is', () => {
    expect(shareArena(ortLibrary(), 'CPUExecutionProvider', { name: 'Cpu', device: 0, bytes: 0 })).to.equal(
      true,
    );
    expect(shareArena(ortLibrary(), 'NoSuchProvider', { name: 'Cpu', device: 0, bytes: 2 ** 20 })).to.equal(
      false,
    );
  });
});
