import { expect } from 'chai';
import { loadRefusal, lostDevice, openRefusal, runRefusal } from '../../src/engines/python/refusals.js';

/** What ONNX Runtime, NVIDIA's libraries and Python say where no machine of the tests can make them. */
const said = {
  illegalAddress:
    '[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=h ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_stream_handle.cc ; line=72 ; expr=cudaStreamSynchronize(stream); ',
  lostBus:
    '[ONNXRuntimeError] : 1 : FAIL : CUDA failure 999: unknown error ; GPU=0 ; hostname=h ; file=x.cc ; line=1 ; expr=y',
  kernelFailed:
    '[ONNXRuntimeError] : 1 : FAIL : CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0 ; hostname=h ; file=conv.cc ; line=9 ; expr=cudnnBackendExecute',
  allocator:
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Name:'conv1' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 822083584",
  cudaMemory:
    '[ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; file=cuda_allocator.cc ; line=26 ; expr=cudaMalloc((void**)&p, size);',
  unsupported:
    '[ONNXRuntimeError] : 1 : FAIL : CUDNN failure 9: CUDNN_STATUS_NOT_SUPPORTED ; GPU=0 ; hostname=h ; file=conv.cc ; line=9 ; expr=cudnnConvolutionForward',
};

describe('refusals of a Python worker', () => {
  it('a device is lost with an illegal address, an unknown error, a kernel that failed; not for want of memory', () => {
    const lost = Object.entries(said).filter(([, error]) => lostDevice({ error }));
    expect(lost.map(([name]) => name)).to.deep.equal(['illegalAddress', 'lostBus', 'kernelFailed']);
  });

  it('a run: one line that says which', () => {
    const message = (error: string) => runRefusal({ error }, 'query.w1.00', 'onnxruntime 1.26.0').message;
    expect(message(said.illegalAddress)).to.match(
      /^query\.w1\.00: the device is lost \(CUDA failure 700: [^\n]*\)$/,
    );
    for (const error of [said.allocator, said.cudaMemory]) {
      expect(message(error)).to.match(
        /^query\.w1\.00: out of memory on onnxruntime 1\.26\.0 \([^\n]*\); accepted: a smaller batchSize$/,
      );
    }
    expect(message('two\n lines')).to.equal('query.w1.00: two lines');
  });

  it('no driver, no GPU, no such device, a library of CUDA 11 and of CUDA 12 missing', () => {
    const message = (error: string, type: string) =>
      openRefusal({ error, type }, '/opt/my venv/python', 3).message;
    for (const error of [
      'libcuda.so.1: cannot open shared object file: No such file or directory',
      'CUDA failure 100: CUDA_ERROR_NO_DEVICE by cuInit',
    ]) {
      expect(message(error, 'OSError')).to.equal(
        `runtime.provider "cuda" finds no NVIDIA driver or no GPU (${error}); accepted: a machine with both, where nvidia-smi shows them, or runtime.provider "cpu"`,
      );
    }
    const absent = 'CUDA failure 101: CUDA_ERROR_INVALID_DEVICE by cuDeviceGet';
    expect(message(absent, 'RuntimeError')).to.equal(
      `there is no CUDA device 3 (${absent}); accepted: those that nvidia-smi lists`,
    );
    const missing = (library: string) =>
      message(`${library}: cannot open shared object file: No such file or directory`, 'OSError');
    expect(missing('libcublasLt.so.12')).to.match(
      /a library of CUDA is missing \(libcublasLt\.so\.12: .*: '\/opt\/my venv\/python' -m pip install "onnxruntime-gpu\[cuda,cudnn\]"$/,
    );
    expect(missing('libcublasLt.so.11')).to.match(
      /-m pip install nvidia-cuda-runtime-cu11 .* nvidia-cufft-cu11$/,
    );
  });

  it('a numpy that is too new for the wheel', () => {
    const error = "<class 'numpy.core.multiarray'> failed to import";
    const { message } = openRefusal({ error, type: 'ImportError' }, 'python3', 0);
    expect(message).to.match(/does not go with its numpy .*; accepted: python3 -m pip install "numpy<2"$/);
  });

  it('an operator that no wheel has', () => {
    const error =
      '[ONNXRuntimeError] : 1 : FAIL : Fatal error: our.domain:Nothing(-1) is not a registered function/op';
    expect(loadRefusal({ error }, 'query', 'onnxruntime 1.26.0').message).to.equal(
      'query: onnxruntime 1.26.0 has no operator our.domain:Nothing; accepted: a wheel that has it',
    );
  });
});
